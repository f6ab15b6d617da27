"""A small pipeline with all that ours uses, run once by the real DVC."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

FILES = {
    "params.yaml": """\
profile: tiny
seed: 7
scales: [2, 3]
sharpen: {sigma: 1.5e-1, keep: true}
other: 1
profiles:
  tiny:
    train: {epochs: 4, rates: [0.5, 2e-3]}
  large:
    train: {epochs: 400}
""",
    "dvc.yaml": """\
stages:
  prepare:
    desc: Bring the raw data to one form
    cmd: python stages/step.py data/raw data/${profile}/prepared ${seed}
    deps: [src/tool.py, stages/step.py, data/raw]
    params: [seed]
    outs: ['data/${profile}/prepared']
  check:
    cmd: python stages/step.py data/${profile}/prepared metrics/${profile}/check.json
    deps: [stages/step.py, 'data/${profile}/prepared']
    outs: ['metrics/${profile}/check.json': {cache: false}]
  shrink:
    matrix: {scale: '${scales}'}
    cmd: python stages/step.py data/${profile}/prepared data/${profile}/small/x${item.scale}.csv
      ${item.scale}
    deps:
    - src/tool.py
    - stages/step.py
    - data/${profile}/prepared
    - metrics/${profile}/check.json
    params: [sharpen]
    outs: ['data/${profile}/small/x${item.scale}.csv']
  train:
    foreach:
      plain: {section: other}
      sharp: {section: sharpen}
    do:
      cmd: python stages/step.py data/${profile}/small models/${profile}/${key}.json
      deps: [src/tool.py, stages/step.py, 'data/${profile}/small']
      params: ['profiles.${profile}.train', '${item.section}']
      outs: ['models/${profile}/${key}.json']
      plots: ['metrics/${profile}/${key}': {cache: false}]
  predict:
    foreach: [plain, sharp]
    do:
      cmd: python stages/predict.py ${item}
      deps:
      - stages/predict.py
      - models/${profile}/${item}.json
      - models/${profile}/${item}.json
      params: [scales]
      outs: ['data/${profile}/predictions/${item}.csv']
  report:
    cmd: python stages/report.py
    deps: [stages/report.py, 'data/${profile}/predictions', 'metrics/${profile}/plain']
    params: ['profiles.${profile}']
    outs: ['data/${profile}/report']
    metrics: ['metrics/${profile}/accuracy.json': {cache: false}]
""",
    "src/tool.py": "FACTOR = 3\n",
    "stages/step.py": """\
import hashlib, json, pathlib, sys
source, target, *words = sys.argv[1:]
files = sorted(p for p in pathlib.Path(source).rglob('*') if p.is_file() and p.name[0] != '.')
digest = hashlib.sha256(b''.join(p.read_bytes() for p in files) + repr(words).encode()).hexdigest()
path = pathlib.Path(target)
if path.suffix == '.json':
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'digest': digest, 'score': int(digest[:4], 16) / 7}))
    curves = pathlib.Path('metrics', *path.with_suffix('').parts[1:])
    if path.parts[0] == 'models':
        (curves / 'g').mkdir(parents=True)
        (curves / 'g/loss.tsv').write_text('step\\tloss\\n0\\t0.5\\n')
elif path.suffix == '.csv':
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('a,b\\n1.5,' + digest + '\\n')
else:
    (path / 'below').mkdir(parents=True)
    (path / 'below/gr\\u00fc\\u00dfe b.txt').write_text(digest)
    (path / 'a.txt').write_text('a')
    (path / 'a-b.txt').write_text('b')
    (path / 'half.part').write_text('DVC ignores this')
""",
    "stages/predict.py": """\
import json, pathlib, sys
row = sys.argv[1]
digest = json.loads(pathlib.Path(f'models/tiny/{row}.json').read_text())['digest']
path = pathlib.Path(f'data/tiny/predictions/{row}.csv')
path.parent.mkdir(parents=True, exist_ok=True)
faces = ''.join(f'test_{i}.jpg,happy,{"happy" if digest[i] > "7" else "sad"}\\n' for i in range(9))
path.write_text('id,label,x2\\n' + faces)
""",
    "stages/report.py": """\
import json, pathlib
table = {}
for path in sorted(pathlib.Path('data/tiny/predictions').glob('*.csv')):
    lines = [line.split(',') for line in path.read_text().splitlines()[1:]]
    x2 = 100 * sum(label == read for _, label, read in lines) / len(lines)
    table[path.stem] = {'x2': x2, 'mean': x2}
folder = pathlib.Path('data/tiny/report')
folder.mkdir(parents=True)
(folder / 'figure.svg').write_text(f'<svg>{table}</svg>')
(folder / 'index.html').write_text('<html>')
metrics = pathlib.Path('metrics/tiny')
metrics.mkdir(parents=True, exist_ok=True)
(metrics / 'accuracy.json').write_text(json.dumps(table))
""",
    "data/raw/one.txt": "one",
    "data/raw/two.txt": "two",
    ".dvcignore": "__pycache__/\n*.part\n",
    ".gitignore": "__pycache__/\n/.runs/\n",
}


def own_environment() -> dict[str, str]:
    """The environment without what a surrounding `dvc repro` or Git hook has put there.

    Python keeps what it compiles: reading torch or DVC uncompiled takes three times as long.
    """
    hidden = ("DVC_", "GIT_", "FSR_FER_", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    return kept | {
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
    }


def shell(root: Path, *words: str) -> str:
    """Run a command in ``root``; its output."""
    done = subprocess.run(words, cwd=root, env=own_environment(), capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def words_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def interrupt(root: Path, program: str, begun: str) -> str:
    """Run a program and Ctrl-C it once a process below it has ``begun`` in its words: all end.

    Returns what it said on stderr.
    """
    # In the background Python ignores Ctrl-C.
    head = "import pathlib, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    started = subprocess.Popen(
        [sys.executable, "-c", head + program],
        cwd=root,
        env=own_environment() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    whole = psutil.Process(started.pid)
    while not any(begun in words_of(child) for child in whole.children(True)):
        assert started.poll() is None
        time.sleep(0.1)
    children = whole.children(recursive=True)
    started.send_signal(signal.SIGINT)  # to it alone, as `kill` sends SIGTERM
    _, said = started.communicate(timeout=60)
    assert said.endswith("KeyboardInterrupt\n")
    assert not any(child.is_running() for child in children)
    return said


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def git_init(root: Path) -> None:
    shell(root, "git", "init", "-q", "-b", "main")
    shell(root, "git", "config", "user.name", "t")
    shell(root, "git", "config", "user.email", "t@example.org")


def init(root: Path) -> None:
    git_init(root)
    shell(root, "dvc", "init", "-q")


def commit(root: Path, message: str) -> None:
    shell(root, "git", "add", "-A")
    shell(root, "git", "commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline after `dvc repro`, all of it committed; not to be changed."""
    root = tmp_path_factory.mktemp("provenance") / "finished"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    init(root)
    shell(root, "dvc", "add", "-q", "data/raw")
    shell(root, "dvc", "repro", "-q")
    commit(root, "results")
    return root


@pytest.fixture
def pipeline(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may change: the current folder."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    root = shutil.copytree(finished, tmp_path / "pipeline", symlinks=True)
    monkeypatch.chdir(root)
    return root
