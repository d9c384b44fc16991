"""A finding as a picture: who asked for what, which calls followed, what of it was on the disk when
the power failed. Time runs downwards; the lanes are columns of a table, so that it reads without a
picture, on a narrow screen and aloud."""
from html import escape

import svg

CONTEXT = 7  # calls shown before the crash whatever they are
AFTER = 3    # calls that would have followed

ROLES = (("CURRENT", "current pointer"), ("MANIFEST", "manifest"), (".log", "log"), (".sst",
    "table"),
         (".tmp", "temporary file"), ("LOCK", "lock"))
SYNCS = ("fsync", "fdatasync", "sync", "msync", "sync-range", "sync_file_range")


def role(path):
    """What the file is to the store, by its name: which event of the engine a call serves."""
    name = path.rsplit("/", 1)[-1]
    for part, word in ROLES:
        if part in name:
            return word
    return "directory" if "." not in name else "file"


def base(path):
    return path.rsplit("/", 1)[-1] or "/"


def call_words(call):
    words = call["call"]
    if call["to"]:
        return f"{words} {base(call['path'])} → {base(call['to'])}"
    words += f" {call['path'] or '/'}"
    if call["call"] == "write":
        words += f", {call['length']} bytes at {call['offset']}"
    return words + "".join(f" [{flag}]" for flag in call["flags"])


def item_words(item, calls=None):
    """One change in words; with the calls, a name by what was done to it."""
    call = calls.get(item["call"]) if calls else None
    if item["kind"] == "name" and call and call["call"] == "rename":
        return f"rename of {base(call['path'])} to {base(call['to'])}"
    if item["kind"] == "name" and call and call["call"] in ("unlink", "rmdir"):
        return f"removal of {base(call['path'])}"
    what = {"data": "sector", "size": "size", "map": "mapping", "truncate": "size",
            "name": "name"}[item["kind"]]
    place = f" at {item['offset']}" if item["kind"] in ("data", "map") else ""
    return f"{what} of {base(item['path']) or '/'}{place}"


def _later(call, crash):
    if crash is None or call["n"] < crash["at"]:
        return False
    return not (crash["inside"] and call["n"] == crash["at"])


def _disk(call, items, crash):
    """The last column: one square per change of this call that was open, or what a sync did."""
    number, by_number = call["n"], {call["n"]: call}
    if _later(call, crash):
        return f'{svg.sector("later", "not reached")} <span class="dim">never happened</span>'
    if call["call"] in SYNCS:
        if "lied" in call["flags"]:
            return '<b class="bad">answered OK, forced nothing</b>'
        if "failed" in call["flags"]:
            return '<b class="bad">failed: promises nothing</b>'
        return '<span class="dim">made durable what came before</span>'
    mine = items.get(number, [])
    if not mine:
        square = svg.sector("durable", "durable: a sync came before the crash")
        return f'{square} <span class="dim">durable</span>'
    lost = [i for i in mine if i["state"] == "lost"]
    squares = "".join(svg.sector("lost" if i["state"] == "lost" else "kept",
                                 f"{item_words(i, by_number)}: {i['state']}") for i in mine[:24])
    if not lost:
        return f"{squares} reached the disk"
    what = escape(", ".join(dict.fromkeys(item_words(i, by_number) for i in lost[:3])))
    if len(lost) < len(mine):
        square = svg.sector("torn", "torn: a part reached the disk")
        return f'{square}{squares} <b class="bad">torn: lost the {what}</b>'
    return f'{squares} <b class="bad">lost: the {what}</b>'


def _shown(calls, items, crash):
    """Which calls are worth a row; the others are counted."""
    at = crash["at"] if crash else len(calls)
    keep, seen_ops = set(), set()
    for call in calls:
        n = call["n"]
        if n in items or at - CONTEXT <= n < at + AFTER or call["flags"]:
            keep.add(n)
        if call["op"] not in seen_ops:
            seen_ops.add(call["op"])
            keep.add(n)
        elif len(calls) <= 30 and n < at:
            keep.add(n)
    if len(keep) > 90:  # the last ones before the crash say most
        before = sorted(n for n in keep if n < at)
        keep = set(before[-70:]) | {n for n in keep if n >= at}
    return keep


def _row(kind, words):
    return f'<tr class="{kind}"><td colspan="4">{escape(words)}</td></tr>'


def _flags(op, at):
    """Answers of an operation as rows, once so many calls had returned."""
    rows = ""
    if op.get("answered_at") == at and "unit" in op:
        if op["acknowledged"]:
            rows += _row("ack", f"⚑ answered OK: write {op['unit']} is acknowledged")
        else:
            rows += _row("ack", f"⚐ answered an error: write {op['unit']} may be there or not")
    if op.get("promised_at") == at:
        rows += _row("promise", f"⚑⚑ promised: writes 1 to {op['promised']} survive from here on "
                                f"({op['why']})")
    return rows


def _crash_rows(crash, found):
    words = f"⚡ the power fails here, {crash['where']}"
    if crash["again"]:
        words += f" — and once more while the store recovers, {crash['again_where']}"
    return _row("crash", words) + _row("found", f"➜ the store is opened again: {found}")


def _died(lanes):
    rows = "".join(f"<tr><td>{op['n']}</td><td><code>{escape(op['text'])}</code></td></tr>"
                   for op in lanes["operations"])
    return ('<p class="dim">The store died: its calls were not recorded. The operations:</p>'
            f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>')


def _call_row(call, op, items, crash):
    operation = f"<code>{escape(op['text'][:70])}</code>" if op else ""
    late = ' class="late"' if _later(call, crash) else ""
    return (f"<tr{late}><td>{operation}</td><td>{escape(role(call['path']))}</td>"
            f"<td>{escape(call_words(call))}</td><td>{_disk(call, items, crash)}</td></tr>")


def _gap(hidden):
    return _row("gap", f"… {hidden} more call{'s' if hidden > 1 else ''} …") if hidden else ""


def _body(lanes, found):
    calls, crash = lanes["calls"], lanes.get("crash")
    operations = {op["n"]: op for op in lanes["operations"]}
    epoch = [op for op in lanes["operations"] if op.get("epoch", 0) == lanes.get("epoch", 0)]
    items = {}
    for item in (crash or {}).get("items", []):
        items.setdefault(item["call"], []).append(item)
    shown = _shown(calls, items, crash)
    rows, hidden, current, down = [], 0, None, False
    end = {"n": len(calls) + lanes.get("calls_left_out", 0)}
    for call in calls + [end]:
        n = call["n"]
        flags = "".join(_flags(op, n) for op in epoch) if not down else ""
        if flags:
            rows.append(_gap(hidden) + flags)
            hidden = 0
        if crash and n == crash["at"] and not crash["inside"]:
            rows.append(_gap(hidden) + _crash_rows(crash, found))
            hidden, down = 0, True
        if call is end:
            break
        if n not in shown:
            hidden += 1
            continue
        op = operations.get(call["op"]) if call["op"] != current else None
        current = call["op"]
        rows.append(_gap(hidden) + _call_row(call, op, items, crash))
        hidden = 0
        if crash and n == crash["at"] and crash["inside"]:
            rows.append(_crash_rows(crash, found))
            down = True
    return "".join(rows) + _gap(hidden)


def swim(lanes, found):
    """The table of one finding; `found`: what the recovery came to."""
    if not lanes.get("calls"):
        return _died(lanes)
    return ('<div class="scroll" tabindex="0" role="region" '
            'aria-label="what happened, call by call"><table class="lanes">'
            "<thead><tr><th>operation</th><th>serves</th><th>call of the store</th>"
            "<th>on the disk after the cut</th></tr></thead>"
            f"<tbody>{_body(lanes, found)}</tbody></table></div>{KEY}")


KEY = ('<p class="key-line">' + svg.sector("durable") + " durable, a sync covers it &nbsp; " +
       svg.sector("kept") + " not synced, reached the disk &nbsp; " + svg.sector("lost") +
       " not synced, lost &nbsp; " + svg.sector("torn") + " one call, part of it lost &nbsp; " +
       svg.sector("later") + " after the cut</p>")

MARKS = {"rename": "r", "unlink": "u", "create": "c", "write": "w", "truncate": "t", "mkdir": "m",
         "link": "l"}


def strip(points, calls, model, outcomes, label):
    """Where in the protocol is the hole? One column per crash point."""
    by_number = {call["n"]: call for call in calls}
    rows, states = [], 0
    for point in points:
        call = by_number.get(point["at"])
        counts = [(o, point.get(o, 0)) for o in outcomes]
        states += point["recoveries"]
        where = "at the end"
        if call:
            where = ("in the middle of " if point["inside"] else "before ") + call_words(call)
        images = f"{point['images']} legal images, " if point["images"] else ""
        mark = "·"
        if call:
            mark = "s" if call["call"] in SYNCS else MARKS.get(call["call"], "·")
        rows.append((f"{where}: {images}{point['recoveries']} recovered"
                     f"{', all of them' if point['exhaustive'] else ', sampled'}: "
                     + ", ".join(f"{c} {o}" for o, c in counts if c), counts, mark))
    if not rows:
        return ""
    table = "".join(f"<tr><td>{escape(words)}</td></tr>" for words, _, _ in rows)
    return ('<figure><div class="scroll" tabindex="0" role="region" aria-label="crash points">'
            f"{svg.shares(rows, label)}</div>"
            f"<figcaption>Every crash point of this trace, in order of time; height: share of the "
            f"recovered states. n = {states} recovered states at {len(rows)} points, model "
                f"{escape(model)}. "
            "Letters name the call that was about to happen: s sync, r rename, w write, c "
                "create, u unlink.</figcaption>"
            f"<details><summary>as a table</summary><table>{table}</table></details></figure>")
