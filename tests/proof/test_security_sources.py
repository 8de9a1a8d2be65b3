"""What our own sources must not contain: read from the syntax, and shown to be seen."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("dca", "demo", "integration", "launcher", "paper_exchange", "proof")
FILES = [
    ROOT / "bot",
    *ROOT.glob("*.py"),
    *(file for name in PACKAGES for file in (ROOT / name).rglob("*.py")),
]

RUNS_TEXT = {"eval", "exec", "__import__"}
MODULES = {"pickle", "marshal", "shelve", "dill", "jsonpickle", "yaml", "code", "pty", "xmlrpc", "telnetlib"}
CALLS = {
    *("os.system", "os.popen", "os.spawnl", "os.spawnv", "subprocess.getoutput", "tempfile.mktemp"),
    *("ssl._create_unverified_context", "ssl._create_default_https_context"),
}
ALLOWED = {
    # Constant text around one path of its own: a file that keeps apt from starting services.
    "launcher/apt.py: a shell",
}


def offenses(text: str) -> list[str]:
    """What is wrong with a source, a few words each."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _of_call(node)
        elif isinstance(node, ast.Attribute) and node.attr in {"CERT_NONE", "CERT_OPTIONAL"}:
            found.append(node.attr)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found += _of_assignment(node)
        elif isinstance(node, ast.List | ast.Tuple):
            words = [each.value for each in node.elts if isinstance(each, ast.Constant)]
            if "-c" in words and {"sh", "bash", "/bin/sh", "/bin/bash", "dash"} & set(map(str, words)):
                found.append("a shell")
    return found


def _of_call(node: ast.Call) -> list[str]:
    name = _dotted(node.func)
    found = [name] if name in CALLS or name in RUNS_TEXT else []
    for keyword in node.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "shell" and value is not False:
            found.append("shell=")
        if keyword.arg in {"verify", "check_hostname", "ssl_verify_cert"} and value is False:
            found.append(f"{keyword.arg}=False")
        if keyword.arg in {"allow_local_infile", "allow_pickle"} and value is not False:
            found.append(f"{keyword.arg}=")
    return found


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _of_assignment(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    is_off = isinstance(node.value, ast.Constant) and node.value.value is False
    names = [each.attr for each in targets if isinstance(each, ast.Attribute)]
    return [f"{name} = False" for name in names if is_off and name in {"verify", "check_hostname"}]


def test_nothing_runs_text_or_unpacks_objects_or_skips_certificates() -> None:
    found = {
        f"{file.relative_to(ROOT)}: {offense}" for file in FILES for offense in offenses(file.read_text())
    }
    assert len(FILES) > 100
    assert found == ALLOWED


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "exec(code)",
        "import pickle",
        "from yaml import load",
        "subprocess.run(line, shell=True)",
        "subprocess.run(line, shell=wanted)",
        "subprocess.run(['sh', '-c', line])",
        "os.system(line)",
        "requests.get(url, verify=False)",
        "session.verify = False",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
        "connect(allow_local_infile=True)",
    ],
)
def test_each_of_these_would_be_seen(text: str) -> None:
    assert offenses(text) != []


def test_no_hidden_letters_in_the_sources() -> None:
    """Letters that a reader does not see, or sees in another order than Python does."""
    hidden = {*map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0x200B, 0x200E), 0xFEFF])}
    for file in [*FILES, *(ROOT / "sql").rglob("*.sql"), *ROOT.glob("*.sh"), *ROOT.glob("requirements*.txt")]:
        assert not hidden & set(file.read_text(encoding="utf-8")), file


def test_no_source_has_a_key_in_it() -> None:
    """Alpaca's key ids begin with PK or AK and have twenty letters."""
    shape = re.compile(r"\b[PA]K[A-Z0-9]{18}\b")
    for file in [*FILES, ROOT / ".env.example", *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        assert shape.findall(file.read_text(encoding="utf-8")) == [], file


def test_every_test_that_the_document_names_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    sources = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    there = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)}
    assert len(named) > 40
    assert named - there == set()
