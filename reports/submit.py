#!/usr/bin/env python3
"""Prints the script that runs the shards of a run somewhere. Nothing is submitted.

    submit.py local|parallel|slurm|k8s [--shards N] [--into FILE] [--program FILE] -- RUN-OPTIONS

RUN-OPTIONS are those of `powercut run`, with --seed and --traces. The shards write below the same
--out, which has to be a folder that all of them see; finished units are not run again, so the same
script goes on after a stop. Exit: 0 printed, 2 usage.
"""
import argparse
import shlex
import sys

LOCAL = """#!/bin/sh
# {shards} shards, one after the other; only units that are missing are run.
for shard in $(seq 0 {last}); do
    {run} --shard "$shard/{shards}"
    code=$?
    case $code in 0 | 1 | 3) ;; *) exit $code ;; esac
done
{merge}
"""

PARALLEL = """#!/bin/sh
# {shards} shards with GNU parallel; 75 means stopped, and is tried again.
seq 0 {last} | POWERCUT_SHARDS={shards} parallel --retries 3 --joblog {out}/joblog \\
    '{run_inner} --shard {{}}/{shards}; code=$?; [ $code -eq 1 ] || [ $code -eq 3 ] || exit $code'
{merge}
"""

SLURM = """#!/bin/sh
#SBATCH --job-name=powercut
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --signal=B:USR1@60
# A sample: sbatch this file; afterwards, on any machine: {merge}
# USR1 ends the run between two units with exit 75; the requeued job goes on with the next unit.
{run} --shard auto &
trap 'kill -USR1 $!; wait $!; [ $? -eq 75 ] && scontrol requeue "$SLURM_JOB_ID"' USR1
wait $!
"""

K8S = """# A sample: kubectl apply -f this file; IMAGE and the claim are yours.
# Afterwards, where the volume can be seen: {merge}
apiVersion: batch/v1
kind: Job
metadata:
  name: powercut
spec:
  completionMode: Indexed
  completions: {shards}
  parallelism: {shards}
  backoffLimitPerIndex: 3
  podFailurePolicy:
    rules:
      - action: FailIndex # a finding, or a wrong option: again would say the same
        onExitCodes: {{operator: In, values: [1, 2]}}
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: powercut
          image: IMAGE
          env: [{{name: POWERCUT_SHARDS, value: "{shards}"}}]
          command: {command}
          volumeMounts: [{{name: out, mountPath: {out_quoted}}}]
      volumes:
        - name: out
          persistentVolumeClaim: {{claimName: powercut-out}}
"""

KINDS = {"local": LOCAL, "parallel": PARALLEL, "slurm": SLURM, "k8s": K8S}


def given(words, name):
    for i, word in enumerate(words):
        if word == name and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1:]
    return None


def script(kind, shards, into, program, options):
    run = [program, "run"] + options
    out = given(options, "--out") or given(options, "-o") or "powercut-out"
    merge = shlex.join([program, "merge", "--into", into, out])
    inner = shlex.join(run).replace("'", "'\\''")
    quoted = ", ".join('"' + w.replace("\\", "\\\\").replace('"', '\\"') + '"'
                       for w in run + ["--shard", "auto"])
    return KINDS[kind].format(shards=shards, last=shards - 1, run=shlex.join(run), run_inner=inner,
                              merge=merge, out=shlex.quote(out), command=f"[{quoted}]",
                              out_quoted='"' + out.replace('"', '\\"') + '"')


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--into", default="powercut-out/results-merged.jsonl")
    parser.add_argument("--program", default="powercut")
    parser.add_argument("words", nargs="+", metavar="KIND [RUN-OPTIONS]")
    args = parser.parse_args(argv)
    kind, options = args.words[0], args.words[1:]
    if options[:1] == ["--"]:
        options = options[1:]
    wrong = None
    if kind not in KINDS:
        wrong = f"no '{kind}'; there are {' '.join(KINDS)}"
    elif args.shards < 1:
        wrong = "at least one shard"
    elif given(options, "--seed") is None and given(options, "--profile") is None:
        wrong = "the shards of a run need the same --seed"
    elif given(options, "--shard") is not None:
        wrong = "--shard is what the script gives"
    if wrong:
        print(f"submit: {wrong}", file=sys.stderr)
        return 2
    sys.stdout.write(script(kind, args.shards, args.into, args.program, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
