#!/usr/bin/env python3
"""Manual pages and shell completions of both programs, from the tables that make their --help.

    pages.py TREE OUT VERSION

TREE/harness/options.def and TREE/engine/tools/commands.def give powercut.1, minivault.1 and the
completions of bash, zsh and fish; TREE/engine/FORMAT.md and TREE/crashtests/README.md become
minivault-format.5 and powercut-crash.5. Nothing is written by hand twice, so nothing drifts;
pages_test.py compares the outcome with what the programs say.
"""

import os
import re
import sys

STRING = re.compile(r'"((?:\\.|[^"\\])*)"')


class Table:
    """Commands and options of one program, read from its .def file."""

    def __init__(self, name, path):
        self.name = name
        self.commands, self.shell, self.options = [], [], []
        with open(path, encoding="utf-8") as stream:
            text = re.sub(r"/\*.*?\*/", "", stream.read(), flags=re.S)
        for kind, arguments in re.findall(r"^(COMMAND|SHELL|OPTION)\((.*?)\)\s*$", text,
                                          re.M | re.S):
            values = split_arguments(arguments)
            if kind == "OPTION":
                self.options.append(Option(*values))
            else:
                (self.commands if kind == "COMMAND" else self.shell).append(values)

    def options_of(self, command):
        return [o for o in self.options if o.commands == "*" or command in o.commands.split()]


class Option:
    def __init__(self, name, letter, kind, argument, default, commands, help_text):
        self.name, self.kind, self.argument, self.default = name, kind, argument, default
        self.letter = letter.strip("'") if letter != "0" else ""
        self.commands, self.help = commands, help_text

    def takes_value(self):
        return self.kind != "FLAG"


def split_arguments(text):
    """The arguments of a macro: adjoining strings are one, NULL is None, the rest as it stands."""
    values, depth, part, quoted = [], 0, "", False
    for i, letter in enumerate(text):
        if letter == '"' and (i == 0 or text[i - 1] != "\\"):
            quoted = not quoted
        if letter == "," and not quoted and not depth and part.strip() != "'":
            values.append(part)
            part = ""
        else:
            part += letter
    values.append(part)
    return [value_of(v.strip()) for v in values]


def value_of(text):
    if text == "NULL":
        return None
    strings = STRING.findall(text)
    return re.sub(r"\\(.)", r"\1", "".join(strings)) if strings else text


# ---- manual pages ----

def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def title(name, section, version, what):
    return ['.TH "%s" "%s" "" "powercut %s" "%s"' % (name.upper(), section, version, what)]


ABOUT = {
    "powercut": ("does a storage engine keep its promises when the power fails?",
                 "Runs a storage engine on a simulated disk, cuts the power at every point, "
                 "recovers what each legal state of the disk leaves, and shrinks what goes wrong "
                 "to a few lines.",
                 [("0", "the budget is done, no finding"), ("1", "at least one finding"),
                  ("2", "usage"), ("3", "inconclusive: the canary was missed, too little was run"),
                  ("4", "the environment failed"), ("75", "interrupted, can be resumed"),
                  ("130", "stopped by the user")],
                 "powercut-crash(5), minivault(1)"),
    "minivault": ("an embedded key-value store, on the command line",
                  "Reads, writes and inspects a database. Keys and values are printed, and read, "
                  "in one notation: printable UTF-8 as it is, other bytes as \\n, \\t, \\r, \\0, "
                  "\\\\ or \\xNN. A directory alone, minivault DB, begins a prompt.",
                  [("0", "done"), ("1", "no such key"), ("2", "usage"),
                   ("3", "the database is damaged, or of an unknown format"),
                   ("4", "it cannot be opened, read or written"),
                   ("130", "stopped by Ctrl-C"), ("141", "the reader of the output has gone")],
                  "minivault-format(5), powercut(1)"),
}
ENVIRONMENT = {
    "powercut": [("POWERCUT_NAME", "the option --name, where it is not given; dashes become "
                                   "underscores"), ("NO_COLOR", "no colours when set")],
    "minivault": [("MINIVAULT_HISTORY", "the file of the prompt's history, in place of "
                                        "~/.minivault_history; empty: none"),
                  ("NO_COLOR", "no colours when set")],
}


def option_lines(option):
    names = ", ".join(filter(None, ["-" + option.letter if option.letter else "",
                                    "--" + option.name]))
    value = " \\fI%s\\fR" % roff(option.argument) if option.argument else ""
    default = " Default: %s." % option.default if option.default else ""
    belongs = "" if option.commands == "*" else " Of: %s." % ", ".join(option.commands.split())
    return [".TP", "\\fB%s\\fR%s" % (roff(names), value),
            roff(option.help[0].upper() + option.help[1:] + "." + default + belongs)]


def program_page(table, version):
    about, text, exits, others = ABOUT[table.name]
    lines = title(table.name, 1, version, "User Commands")
    lines += [".SH NAME", "%s \\- %s" % (table.name, roff(about)), ".SH SYNOPSIS",
              "\\fB%s\\fR \\fICOMMAND\\fR [\\fIoptions\\fR] [\\fIoperands\\fR]" % table.name,
              ".SH DESCRIPTION", roff(text), ".SH COMMANDS"]
    for name, operands, help_text in table.commands:
        lines += [".TP", "\\fB%s\\fR \\fI%s\\fR" % (roff(name), roff(operands)),
                  roff(help_text[0].upper() + help_text[1:] + ".")]
    if table.shell:
        lines += [".SH COMMANDS OF THE PROMPT", "Those above without their \\fIDB\\fR, and:"]
        for name, operands, help_text in table.shell:
            lines += [".TP", "\\fB%s\\fR \\fI%s\\fR" % (roff(name), roff(operands)),
                      roff(help_text[0].upper() + help_text[1:] + ".")]
    lines.append(".SH OPTIONS")
    for option in table.options:
        lines += option_lines(option)
    lines.append(".SH EXIT STATUS")
    for code, meaning in exits:
        lines += [".TP", "\\fB%s\\fR" % code, roff(meaning)]
    lines.append(".SH ENVIRONMENT")
    for name, meaning in ENVIRONMENT[table.name]:
        lines += [".TP", "\\fB%s\\fR" % name, roff(meaning)]
    lines += [".SH SEE ALSO", roff(others)]
    return "\n".join(lines) + "\n"


def inline(text):
    """Markdown within a paragraph: code, emphasis, links."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`)", text)
    out = ""
    for part in parts:
        if part.startswith("`"):
            out += "\\fB" + roff(part[1:-1]) + "\\fR"
        else:
            part = re.sub(r"\*\*?([^*\n]+)\*\*?", "\0\\1\1", part)
            out += roff(part).replace("\0", "\\fI").replace("\1", "\\fR")
    return re.sub(r"^([.'])", r"\\&\1", out, flags=re.M)


def table_lines(rows):
    """A Markdown table: a row is a tagged paragraph, its first cell the tag."""
    cells = [[cell.strip().replace("\\|", "|")
              for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))] for row in rows]
    heads, lines = cells[0], []
    for row in cells[2:]:
        rest = ["%s: %s" % (inline(head), inline(cell)) if head else inline(cell)
                for head, cell in zip(heads[1:], row[1:]) if cell]
        lines += [".TP", "\\fB%s\\fR" % inline(row[0]).replace("\\fB", "").replace("\\fR", "")
                  if row[0] else "\\&", "; ".join(rest) or "\\&"]
    return lines + [".PP"]


def format_page(name, version, about, markdown):
    lines = title(name, 5, version, "File Formats") + [".SH NAME",
                                                       "%s \\- %s" % (name, roff(about))]
    source = markdown.split("\n")
    i = 0
    while i < len(source):
        line = source[i]
        if line.startswith("```"):
            end = next(j for j in range(i + 1, len(source)) if source[j].startswith("```"))
            lines += [".PP", ".nf"] + [roff(l) or "\\&" for l in source[i + 1:end]] + [".fi"]
            i = end + 1
        elif line.startswith("|"):
            end = i
            while end < len(source) and source[end].startswith("|"):
                end += 1
            lines += table_lines(source[i:end])
            i = end
        elif line.startswith("# "):
            lines.append(".SH DESCRIPTION")
            i += 1
        elif line.startswith("#"):
            level, text = re.match(r"(#+) (.*)", line).groups()
            lines.append("%s %s" % (".SH" if len(level) == 2 else ".SS",
                                    roff(text.upper() if len(level) == 2 else text)))
            i += 1
        elif re.match(r"- |\d+\. ", line):
            lines += [".IP \\(bu 2", inline(re.sub(r"^(- |\d+\. )", "", line))]
            i += 1
        elif line.startswith("    "):
            lines += [".PP", ".nf"]
            while i < len(source) and (source[i].startswith("    ") or not source[i].strip()):
                lines.append(roff(source[i][4:]) or "\\&")
                i += 1
            lines.append(".fi")
        else:
            text = line.strip()
            lines.append(inline(text) if text else ".PP")
            i += 1
    return "\n".join(lines) + "\n"


# ---- completions ----

def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


def bash(table):
    name = table.name
    cases = ""
    for command, operands, _ in table.commands:
        words = ["--" + o.name for o in table.options_of(command)] + ["--help"]
        words += [w for w in re.split(r"[][|. ]+", operands) if w.islower()]
        cases += "    %s) words=%s ;;\n" % (command, quote(" ".join(words)))
    choices = ""
    for option in table.options:
        if option.kind == "CHOICE":
            choices += "    --%s) COMPREPLY=($(compgen -W %s -- \"$word\")); return ;;\n" % (
                option.name, quote(option.argument.replace("|", " ")))
    values = "|".join("--" + o.name for o in table.options
                      if o.takes_value() and o.kind != "CHOICE")
    commands = " ".join(c[0] for c in table.commands)
    return """# bash completion of %(name)s; made by harness/pages.py
_%(name)s() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '%(commands)s help --help --version' -- "$word"))
        COMPREPLY+=($(compgen -d -- "$word"))
        return
    fi
    if [ "${COMP_WORDS[1]}" = help ]; then
        COMPREPLY=($(compgen -W '%(commands)s' -- "$word"))
        return
    fi
    case "$before" in
%(choices)s    %(values)s) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    case "${COMP_WORDS[1]}" in
%(cases)s    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    case "$word" in
    -*) ;;
    *) COMPREPLY+=($(compgen -f -- "$word")) ;;
    esac
}
complete -o filenames -F _%(name)s %(name)s
""" % {"name": name, "commands": commands, "cases": cases, "values": values, "choices": choices}


def zsh(table):
    def spec(option):
        text = option.help.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        text = text.replace(":", "\\:")
        value = ""
        if option.kind == "CHOICE":
            value = ":%s:(%s)" % (option.name, option.argument.replace("|", " "))
        elif option.takes_value():
            value = ":%s:_files" % option.argument.replace(":", "\\:")
        many = "*" if option.kind == "LIST" else ""
        return quote("%s--%s%s[%s]%s" % (many, option.name, "=" if value else "", text, value))

    commands = "\n".join("        %s" % quote("%s:%s" % (c[0], c[2].replace(":", "\\:")))
                         for c in table.commands)
    cases = ""
    for command, operands, _ in table.commands:
        words = [w for w in re.split(r"[][|. ]+", operands) if w.islower()]
        rest = "'*:operand:(%s)'" % " ".join(words) if words else "'*:file:_files'"
        cases += "    %s) _arguments %s %s ;;\n" % (
            command, " ".join(spec(o) for o in table.options_of(command)), rest)
    return """#compdef %(name)s
# zsh completion of %(name)s; made by harness/pages.py
_%(name)s() {
    local -a commands
    commands=(
%(commands)s
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        _files -/
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
%(cases)s    esac
}
_%(name)s "$@"
""" % {"name": table.name, "commands": commands, "cases": cases}


def fish(table):
    name = table.name
    lines = ["# fish completion of %s; made by harness/pages.py" % name]
    for command, operands, help_text in table.commands:
        lines.append("complete -c %s -n __fish_use_subcommand -a %s -d %s"
                     % (name, command, fish_quote(help_text)))
        for word in re.split(r"[][|. ]+", operands):
            if word.islower():
                lines.append("complete -c %s -n '__fish_seen_subcommand_from %s' -a %s"
                             % (name, command, word))
    for option in table.options:
        line = "complete -c %s -l %s" % (name, option.name)
        if option.letter:
            line += " -s " + option.letter
        if option.commands != "*":
            line += " -n '__fish_seen_subcommand_from %s'" % option.commands
        if option.kind == "CHOICE":
            line += " -x -a '%s'" % option.argument.replace("|", " ")
        elif option.takes_value():
            line += " -r"
        lines.append(line + " -d " + fish_quote(option.help))
    return "\n".join(lines) + "\n"


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# ---- all of it ----

def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as stream:
        return stream.read()


def tables(tree):
    return [Table("powercut", os.path.join(tree, "harness/options.def")),
            Table("minivault", os.path.join(tree, "engine/tools/commands.def"))]


def pages(tree, version):
    """path below OUT: content."""
    files = {}
    for table in tables(tree):
        files["man1/%s.1" % table.name] = program_page(table, version)
        files["bash/" + table.name] = bash(table)
        files["zsh/_" + table.name] = zsh(table)
        files["fish/%s.fish" % table.name] = fish(table)
    files["man5/minivault-format.5"] = format_page(
        "minivault-format", version, "every byte that minivault writes",
        read(tree, "engine/FORMAT.md"))
    files["man5/powercut-crash.5"] = format_page(
        "powercut-crash", version, "the language of .crash files: scenarios and findings",
        read(tree, "crashtests/README.md"))
    return files


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    for path, content in pages(sys.argv[1], sys.argv[3]).items():
        full = os.path.join(sys.argv[2], path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as stream:
            stream.write(content)


if __name__ == "__main__":
    main()
