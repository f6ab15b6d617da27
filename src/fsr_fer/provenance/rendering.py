"""A trace as a tree for people, as JSON for programs, as a Mermaid graph for docs."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fsr_fer.provenance.checks import short
from fsr_fer.provenance.trace import File, Step, Trace

WIDTH = 100
LABEL = 8
"""Columns of the words in front of a step's facts."""


@dataclass(frozen=True)
class Group:
    """Steps of one stage that differ in their item alone, such as features@2 to features@8."""

    name: str
    steps: tuple[Step, ...]
    parents: tuple[int, ...]
    """Positions of the groups whose outputs they read."""


def grouped(steps: Iterable[Step]) -> list[Group]:
    """Put those together that read the same params and have alike parents; same order."""
    group_of: dict[str, int] = {}
    members: list[list[Step]] = []
    known: dict[tuple[Any, ...], int] = {}
    for step in steps:
        parents = tuple(dict.fromkeys(group_of[n] for n in step.parents if n in group_of))
        keys = tuple((file, tuple(sorted(values))) for file, values in step.params.items())
        code = tuple(file.path for file in step.code)
        alike = (step.name.partition("@")[0], "@" in step.name, parents, keys, code)
        if alike not in known:
            known[alike] = len(members)
            members.append([])
        members[known[alike]].append(step)
        group_of[step.name] = known[alike]
    return [
        Group(
            name=_group_name([step.name for step in steps_]),
            steps=tuple(steps_),
            parents=tuple(
                dict.fromkeys(group_of[p] for s in steps_ for p in s.parents if p in group_of)
            ),
        )
        for steps_ in members
    ]


def _group_name(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{names[0].partition('@')[0]}@{_braced([name.partition('@')[2] for name in names])}"


def as_json(trace: Trace) -> str:
    """Everything, without the grouping that the tree has."""
    values = {
        "target": trace.target.label,
        "value": trace.target.value,
        "file": asdict(trace.file) if trace.file else None,
        "revision": trace.revision,
        "commit": trace.commit or None,
        "lock_committed": trace.lock_committed,
        "stages": [asdict(step) for step in trace.steps],
        "aside": sorted(trace.aside),
        "raw": [asdict(file) for file in trace.raw],
        "differences": [asdict(finding) for finding in trace.findings],
    }
    return json.dumps(values, indent=2)


def as_mermaid(trace: Trace) -> str:
    """A flowchart from raw data down to the target; stages that differ are marked."""
    groups = grouped(_own(trace))
    changed = {name for finding in trace.findings for name in finding.stages}
    lines = ["flowchart TD"]
    for i, file in enumerate(trace.raw):
        lines.append(f'  raw{i}[("{file.path}<br>{short(file.md5 or "?")}")]')
    for i, group in enumerate(groups):
        mark = ":::changed" if any(step.name in changed for step in group.steps) else ""
        lines.append(f'  s{i}["{group.name}"]{mark}')
    value = trace.target.value
    number = "" if value is None or isinstance(value, Mapping) else f" = {_plain(value)}"
    label = f"{trace.target.label}{number}".replace('"', "'")
    lines.append(f'  target(["{label}"])')
    for i, group in enumerate(groups):
        read = {file.path for step in group.steps for file in step.inputs}
        lines += [f"  raw{j} --> s{i}" for j, file in enumerate(trace.raw) if file.path in read]
        lines += [f"  s{j} --> s{i}" for j in group.parents]
        if any(step.name in trace.target.stages for step in group.steps):
            lines.append(f"  s{i} --> target")
    if not trace.target.stages and trace.raw:
        lines.append("  raw0 --> target")
    if changed:
        lines.append("  classDef changed stroke:#c00,stroke-width:3px")
    lines += [f"  %% differs: {finding}" for finding in trace.findings]
    return "\n".join(lines)


def as_tree(trace: Trace) -> str:
    """The target, the stages behind it each once, then params, machines and differences.

    Of the stages that its writer reads for other numbers only the names.
    """
    steps = _own(trace)
    groups = grouped(steps)
    machines = _machines(steps)
    changed = {name for finding in trace.findings for name in finding.stages}
    lines = _heading(trace)
    tree = _Tree(groups, machines, changed)
    roots = [
        i for i, g in enumerate(groups) if any(step.name in trace.target.stages for step in g.steps)
    ]
    for root in roots:
        lines += ["", *tree.lines(root)]
    if trace.aside:
        names = ", ".join(group.name for group in grouped(_aside(trace)))
        lines += ["", *_sentence(f"read for other rows and figures, in --json: {names}")]
    if trace.raw:
        lines += ["", "raw data, written by no stage"]
        lines += [f"  {_file_line(file)}" for file in trace.raw]
    if steps:
        lines += ["", "params, as they were read", *_params(steps)]
        lines += ["", *_machine_lines(steps, machines)]
    lines.append("")
    if trace.findings:
        count = len(trace.findings)
        lines.append(f"differs in {count} place{'s' * (count != 1)}:")
        for finding in trace.findings:
            lines += _sentence(f"- {finding}")
    else:
        lines.append("nothing differs: files, params, code and commands are what dvc.lock says")
    return "\n".join(lines)


_WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def _sentence(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", **_WHOLE)


def _own(trace: Trace) -> list[Step]:
    return [step for step in trace.steps if step.name not in trace.aside]


def _aside(trace: Trace) -> list[Step]:
    """By stage, as far as names go: what is left out needs no more."""
    aside = [step for step in trace.steps if step.name in trace.aside]
    return [replace(step, parents=(), params={}, code=()) for step in aside]


def _heading(trace: Trace) -> list[str]:
    value = trace.target.value
    title = trace.target.label
    if isinstance(value, Mapping):
        shown = ", ".join(f"{key} {_plain(v)}" for key, v in value.items())
        lines = _sentence(f"{title}: {shown}")
    else:
        lines = [title if value is None else f"{title} = {_plain(value)}"]
    if trace.file and trace.file.path != title:
        lines.append(_file_line(trace.file))
    elif trace.file:
        lines = [_file_line(trace.file)]
    if not trace.commit:
        lines.append("dvc.lock outside Git")
    elif trace.revision:
        lines.append(f"dvc.lock of Git {trace.commit[:10]}")
    else:
        committed = "as committed" if trace.lock_committed else "not as committed"
        lines.append(f"dvc.lock of the workspace, {committed} (Git {trace.commit[:10]})")
    return lines


class _Tree:
    """Prints groups once each; where one is met again, only its name."""

    def __init__(self, groups: list[Group], machines: Mapping[str, str], changed: set[str]) -> None:
        self._groups = groups
        self._machines = machines
        self._changed = changed
        self._printed: set[int] = set()

    def lines(self, position: int) -> list[str]:
        """The group and, below it, those it reads from."""
        group = self._groups[position]
        self._printed.add(position)
        mark = "  << differs" if any(s.name in self._changed for s in group.steps) else ""
        lines = [f"{group.name}{mark}"]
        facts = [line for fact in _facts(group, self._machines) for line in fact]
        again = [p for p in group.parents if p in self._printed]
        first = [p for p in group.parents if p not in self._printed]
        lines += [f"│ {fact}" if first else f"  {fact}" for fact in facts]
        if again:
            above = ", ".join(self._groups[p].name for p in again)
            lines.append(f"{'│' if first else ' '} {'above':<{LABEL}}{above}")
        while first := [p for p in first if p not in self._printed]:
            below = self.lines(first[0])
            last = all(p in self._printed for p in first)
            lines.append(f"{'└─' if last else '├─'} {below[0]}")
            lines += [f"{'  ' if last else '│ '} {line}" for line in below[1:]]
        return lines


def _facts(group: Group, machines: Mapping[str, str]) -> list[list[str]]:
    """Lines for each fact, the first with its label."""
    steps = group.steps
    keys = dict.fromkeys(key for step in steps for values in step.params.values() for key in values)
    # What all of them read comes first.
    common = {file for file in steps[0].inputs if all(file in step.inputs for step in steps)}
    inputs = sorted(
        dict.fromkeys(file for step in steps for file in step.inputs),
        key=lambda file: file not in common,
    )
    outputs = {file.path: file for step in steps for file in step.outputs}
    return [
        _labelled("command", _wrapped(_command([step.command for step in steps]))),
        _labelled("params", _wrapped(", ".join(keys) or "none")),
        _labelled("code", _wrapped(_code(steps[0].code))),
        _labelled("reads", [_file_line(file) for file in inputs] or ["nothing"]),
        _labelled("writes", [_file_line(file, origin=False) for file in outputs.values()]),
        _labelled("ran", _runs(steps, machines)),
    ]


def _command(commands: list[str]) -> str:
    """Alike commands as one: ``features.py {2,3,4}``."""
    words = [command.split(" ") for command in commands]
    if len(set(map(len, words))) > 1:
        return f"{commands[0]} (and alike)"
    return " ".join(_braced(choices) for choices in zip(*words, strict=True))


def _braced(choices: Sequence[str]) -> str:
    """Words that differ in the middle, as the shell would write them."""
    if len(set(choices)) == 1:
        return choices[0]
    head = _common_start(choices)
    rest = [choice[len(head) :] for choice in choices]
    tail = _common_start([part[::-1] for part in rest])[::-1]
    inner = ",".join(part[: len(part) - len(tail)] for part in rest)
    return f"{head}{{{inner}}}{tail}"


def _common_start(words: Sequence[str]) -> str:
    for end, letters in enumerate(zip(*words, strict=False)):
        if len(set(letters)) > 1:
            return words[0][:end]
    return min(words, key=len)


def _labelled(label: str, lines: list[str]) -> list[str]:
    return [f"{label if i == 0 else '':<{LABEL}}{line}" for i, line in enumerate(lines)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 30, **_WHOLE) or [""]


def _code(files: Iterable[File]) -> str:
    """``stages/x.py, fsr_fer 12, fsr_fer/data 3``: scripts by name, modules counted by folder."""
    paths = [file.path for file in files]
    scripts = [path for path in paths if not path.startswith("src/")]
    folders = Counter(
        os.path.dirname(path).removeprefix("src/") for path in paths if path.startswith("src/")
    )
    counted = [f"{folder} {count}" for folder, count in sorted(folders.items())]
    return ", ".join([*scripts, *counted]) or "none declared"


def _file_line(file: File, *, origin: bool = True) -> str:
    size = "" if file.size is None else _size(file.size)
    files = "" if file.nfiles is None else f", {file.nfiles} files"
    line = f"{file.path}  {short(file.md5) if file.md5 else 'no hash'}  {size}{files}".rstrip()
    return f"{line}  raw" if origin and not file.stages else line


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    amount, units = size / 1000, ["kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.3g} {units[0]}"


def _runs(steps: tuple[Step, ...], machines: Mapping[str, str]) -> list[str]:
    """A line for each recorded run, one for all others together."""
    lines = []
    for step in steps:
        who = f"@{step.name.partition('@')[2]} " if len(steps) > 1 else ""
        if step.recorded:
            lines.append(f"{who}{_run(step.recorded, machines[step.name])}")
    if len(lines) < len(steps):
        lines.append(f"{'the others ' if lines else ''}not recorded here")
    return lines


def _run(record: Mapping[str, Any], machine: str) -> str:
    git = record.get("git", {})
    commit = (git.get("commit") or "none")[:10]
    if git.get("uncommitted"):
        commit += f" + {len(git['uncommitted'])} uncommitted"
    when = str(record.get("started", "")).replace("T", " ").removesuffix("+00:00")
    return f"{when} UTC, {record.get('seconds')} s, Git {commit}, machine {machine}"


def _machine(record: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{n} {v}" for n, v in sorted(record.get("packages", {}).items()))
    system = f"Python {record.get('python')}, {record.get('platform')}"
    return f"{record.get('device')}; {system}; {packages}"


def _machines(steps: Iterable[Step]) -> dict[str, str]:
    """A letter for each combination of device and versions, by stage."""
    letters: dict[str, str] = {}
    found = {}
    for step in steps:
        if step.recorded:
            machine = _machine(step.recorded)
            found[step.name] = letters.setdefault(machine, chr(ord("A") + len(letters) % 26))
    return found


def _machine_lines(steps: Iterable[Step], machines: Mapping[str, str]) -> list[str]:
    known = {machines[s.name]: _machine(s.recorded) for s in steps if s.recorded}
    if not known:
        return ["no run was recorded here: no versions, device, commit and time to show"]
    return [
        line
        for letter, machine in known.items()
        for line in textwrap.wrap(
            f"machine {letter}: {machine}", WIDTH, subsequent_indent="  ", **_WHOLE
        )
    ]


def _params(steps: Iterable[Step]) -> list[str]:
    """Every value once, by section; several where stages read different ones."""
    values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for step in steps:
        for in_file in step.params.values():
            for key, value in in_file.items():
                for leaf, shown in _leaves(key, value):
                    values[leaf][shown].append(step.name)
    sections: dict[str, list[str]] = defaultdict(list)
    for leaf, by_value in values.items():
        parts = leaf.split(".")
        depth = min(3 if parts[0] == "profiles" else 1, max(len(parts) - 1, 0))
        section, name = ".".join(parts[:depth]), ".".join(parts[depth:])
        shown = " / ".join(
            value if len(by_value) == 1 else f"{value} ({', '.join(names)})"
            for value, names in by_value.items()
        )
        sections[section].append(f"{name} {shown}")
    return [
        line
        for section, entries in sections.items()
        for line in textwrap.wrap(
            f"{section + ': ' if section else ''}{', '.join(entries)}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            **_WHOLE,
        )
    ]


def _leaves(key: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, list):
        yield key, " ".join(map(str, value)) if value else "[]"
    else:
        yield key, _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
