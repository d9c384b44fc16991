"""Plants a mistake: builds the program of `powercut` with the files that a patch changes replaced.

Nothing of CMake is asked but the two commands it would run itself: the one that compiles a file of
the engine, and the one that links the program. A changed file is compiled beside its patch's name
and linked before the library, of which the unchanged object is then left out.
"""
import pathlib
import re
import shlex
import subprocess

OBJECT = "engine/CMakeFiles/minivault_objects.dir/{}.o"
PROGRAM = "bin/powercut"


class Wrong(Exception):
    """The patch cannot be planted; the text names the file and the hunk."""


def run(argv, cwd):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, cwd=cwd)
    return done.returncode, done.stdout


def touched(patch):
    """The files of engine/ that the patch changes."""
    names = re.findall(r"^\+\+\+ b/([^\t\n ]+)", patch.read_text(encoding="utf-8"), flags=re.M)
    outside = [n for n in names if not n.startswith("engine/")]
    if not names or outside:
        raise Wrong(f"{patch.name}: changes {', '.join(outside) or 'nothing'}: a patch is made of "
                    "files of engine/, with the labels a/engine/FILE and b/engine/FILE")
    return [n.removeprefix("engine/") for n in names]


def apply(root, patch, folder):
    """Patched copies in `folder`; the whole engine when a header changes."""
    files = touched(patch)
    header = any(f.endswith((".h", ".def")) for f in files)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.[ch]"):
        old.unlink()
    copied = [p for p in (root / "engine").iterdir() if p.suffix in (".c", ".h", ".def")] \
        if header else [root / "engine" / f for f in files]
    for source in copied:
        if not source.exists():
            raise Wrong(f"{patch.name}: there is no engine/{source.name}")
        (folder / source.name).write_bytes(source.read_bytes())
    code, text = run(["patch", "--fuzz=0", "--batch", "--no-backup-if-mismatch", "-r", "-", "-p2",
                      "-d", folder, "-i", patch.resolve()], root)
    if code != 0:
        failed, file = [], files[0]
        for line in text.splitlines():
            if line.startswith(("patching file", "checking file")):
                file = line.split()[-1]
            hunk = re.match(r"Hunk #(\d+) FAILED at (\d+)", line)
            if hunk:
                failed.append(f"hunk {hunk[1]} of engine/{file}, line {hunk[2]}")
        raise Wrong(f"{patch.name} does not apply: {'; '.join(failed) or text.strip()}")
    return [p for p in copied if p.suffix == ".c"]


def last_command(build, target):
    code, text = run(["ninja", "-C", build, "-t", "commands", target], build)
    lines = text.strip().splitlines()
    if code != 0 or not lines:
        raise Wrong(f"{build}: ninja knows no command for {target}")
    return lines[-1]


def compile_file(root, build, source, obj):
    """The command of the clean file, with another source and another object."""
    argv = shlex.split(last_command(build, OBJECT.format(source.name)))
    kept, skip = [], False
    for word in argv:
        if skip or word in ("-MD", "-c"):
            skip = False
        elif word in ("-MF", "-MT", "-o"):
            skip = True
        elif not (word.endswith(f"/{source.name}") and not word.startswith("-")):
            kept.append(word)
    return run(kept + ["-iquote", root / "engine", "-o", obj, "-c", source], build)


def plant(root, build, patch, folder, program):
    """Builds `program` from the patch; the objects and copies lie in `folder`."""
    objects = []
    for source in apply(root, patch, folder):
        obj = folder / f"{source.name}.o"
        code, text = compile_file(root, build, folder / source.name, obj)
        if code != 0:
            raise Wrong(f"{patch.name} does not build:\n{text[-2000:]}")
        objects.append(str(obj))
    link = last_command(build, PROGRAM)
    mark = f" -o {PROGRAM} "
    if mark not in link:
        raise Wrong(f"the command that links {PROGRAM} has another form: {link[:200]}")
    # Without debug information, which nothing here reads: linking is most of the work.
    link = link.replace(mark, f" {shlex.join(objects)} -Wl,--strip-debug -o "
                              f"{shlex.quote(str(program))} ")
    code, text = run(["sh", "-c", link], build)
    if code != 0:
        raise Wrong(f"{patch.name} does not link:\n{text[-2000:]}")
