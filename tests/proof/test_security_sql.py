"""No statement of SQL has a value in its text: read from the sources, as far as every place it comes from.

What reaches `cursor.execute` is followed backwards, through variables, arguments and constants of other
modules. It may be made of text that stands in the program, of names of a dataclass's fields, and of what the
two functions below have quoted; of nothing else. The statements of launcher/, which are fed to MariaDB's own
client, are followed in the same way.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mysql.connector
import pytest

from dca.database import create_database
from dca.database.store import Store
from launcher import database as launcher_database
from tests.conftest import Server, connected

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = [
    *ROOT.glob("*.py"),
    *(file for name in ("dca", "demo", "integration", "launcher") for file in (ROOT / name).rglob("*.py")),
]
SINKS = ("execute", "executemany")
QUOTING = {"_text", "_word", "columns"}
"""create_database._text and launcher.database._word refuse or quote (tested below); columns() is fields."""
ALLOWED = {
    # Text of the repository's own files: sql/schema.sql and the migrations.
    "dca/database/store.py run_script(sql)",
    # A name that create_database._pattern and .replace quote; test_names_and_passwords_are_quoted runs it.
    "dca/database/create_database.py name",
    "dca/database/create_database.py pattern",
    # A database of the test's own, named by secrets.token_hex.
    "integration/database.py self.settings.name",
}
RUNNERS_OF_SCRIPTS = {"dca/operator/setup/migrate.py", "integration/database.py"}
Scope = ast.FunctionDef | ast.AsyncFunctionDef | None


@dataclass(frozen=True)
class Call:
    file: str
    scope: Scope
    node: ast.Call


class Sources:
    """All functions, calls and constants of some files."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.constants: dict[tuple[str, str], list[ast.expr]] = {}
        self.imported: dict[tuple[str, str], tuple[str, str]] = {}
        self.functions: dict[str, list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]] = {}
        self.calls: dict[str, list[Call]] = {}
        self.leaks: set[str] = set()
        for file, text in texts.items():
            self._read(file, ast.parse(text))

    def _read(self, file: str, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        self.constants.setdefault((file, target.id), []).append(node.value)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    there = node.module.replace(".", "/") + ".py"
                    self.imported[file, alias.asname or alias.name] = (there, alias.name)
        self._walk(file, tree, None)

    def _walk(self, file: str, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.functions.setdefault(node.name, []).append((file, node))
            scope = node
        elif isinstance(node, ast.Call):
            self.calls.setdefault(_name_of(node.func), []).append(Call(file, scope, node))
        for child in ast.iter_child_nodes(node):
            self._walk(file, child, scope)

    def check(self) -> set[str]:
        """Every place from which something else comes into a statement."""
        for sink in SINKS:
            for call in self.calls.get(sink, []):
                self._follow(call.node.args[0], call.file, call.scope, set())
        return self.leaks - ALLOWED

    def _follow(self, node: ast.expr, file: str, scope: Scope, seen: set[int]) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, ast.Name):
            self._follow_name(node, file, scope, seen)
        elif isinstance(node, ast.Call):
            self._follow_call(node, file, scope, seen)
        elif isinstance(node, ast.Constant):
            return
        elif (parts := list(_parts(node))) or isinstance(node, ast.List | ast.Tuple):
            for part in parts:
                self._follow(part, file, scope, seen)
        else:
            self.leaks.add(f"{file} {ast.unparse(node)}")

    def _follow_name(self, node: ast.Name, file: str, scope: Scope, seen: set[int]) -> None:
        if scope is not None:
            if node.id in _parameters(scope):
                self._follow_parameter(scope, node.id, file, seen)
                return
            bound = list(_bindings(scope, node.id))
            if bound:
                if f"{file} {node.id}" in ALLOWED:
                    self.leaks.add(f"{file} {node.id}")
                    return
                for value in bound:
                    self._follow(value, file, scope, seen)
                return
        place = self.imported.get((file, node.id), (file, node.id))
        if place not in self.constants:
            self.leaks.add(f"{file} {node.id}")
        for value in self.constants.get(place, []):
            self._follow(value, place[0], None, seen)

    def _follow_parameter(
        self, scope: ast.FunctionDef | ast.AsyncFunctionDef, name: str, file: str, seen: set[int]
    ) -> None:
        """To everybody who calls a function of that name."""
        where = f"{file} {scope.name}({name})"
        if where in ALLOWED:
            self.leaks.add(where)
            return
        callers = [call for call in self.calls.get(scope.name, []) if _are_related(call.file, file)]
        if not callers:
            self.leaks.add(f"{where}: called by nobody")
        for call in callers:
            given = _argument(call.node, scope, name)
            if given is None:
                self.leaks.add(f"{call.file}:{call.node.lineno} {where}: not to be followed")
            else:
                self._follow(given, call.file, call.scope, seen)

    def _follow_call(self, node: ast.Call, file: str, scope: Scope, seen: set[int]) -> None:
        name = _name_of(node.func)
        if name in QUOTING:
            return
        if name in {"join", "split", "replace"} and isinstance(node.func, ast.Attribute):
            for each in (node.func.value, *node.args):
                self._follow(each, file, scope, seen)
        elif functions := [each for each in self.functions.get(name, []) if _are_related(each[0], file)]:
            for there, function in functions:
                for value in _returned(function):
                    self._follow(value, there, function, seen)
        else:
            self.leaks.add(f"{file} {ast.unparse(node)}")


def _are_related(one: str, other: str) -> bool:
    """Whether a name of one file may mean a function of the other: the store's parts are one class."""
    return one == other or all(file.startswith("dca/database/") for file in (one, other))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """What a text is put together from."""
    if isinstance(node, ast.JoinedStr):
        yield from (each.value for each in node.values if isinstance(each, ast.FormattedValue))
        yield from (each for each in node.values if isinstance(each, ast.Constant))
    elif isinstance(node, ast.BinOp):
        yield node.left
        if not (isinstance(node.op, ast.Mult) and ast.unparse(node.right).startswith("len(")):
            yield node.right
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.List | ast.Tuple):
        yield from node.elts
    elif isinstance(node, ast.Starred | ast.Subscript):
        yield node.value
    elif isinstance(node, ast.Dict):
        yield from node.values
    elif isinstance(node, ast.ListComp | ast.GeneratorExp):
        yield node.elt


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _argument(call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    names = _parameters(function)
    names = names[1:] if names[0] in {"self", "cls"} else names
    place = names.index(name)
    if place < len(call.args) and not any(isinstance(each, ast.Starred) for each in call.args[: place + 1]):
        return call.args[place]
    defaults = dict(zip(reversed(_parameters(function)), reversed(function.args.defaults), strict=False))
    named = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    defaults |= {each.arg: value for each, value in named if value is not None}
    return defaults.get(name)


def _bindings(function: ast.AST, name: str) -> Iterator[ast.expr]:
    """Every value that a local name gets: by =, by a loop, by a comprehension, by append."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and any(_binds(target, name) for target in targets):
                yield node.value
        elif isinstance(node, ast.For | ast.comprehension) and _binds(node.target, name):
            yield node.iter
        elif isinstance(node, ast.Call) and _adds_to(node, name):
            yield node.args[0]


def _adds_to(call: ast.Call, name: str) -> bool:
    return _name_of(call.func) in {"append", "extend"} and ast.unparse(call.func).startswith(f"{name}.")


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(target))


def _returned(function: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value


def test_every_statement_is_made_of_the_programs_own_text() -> None:
    sources = Sources({str(file.relative_to(ROOT)): file.read_text() for file in FILES})
    assert len(sources.calls["execute"]) >= 5 and len(sources.calls["_rows"]) > 40
    assert sources.check() == set()
    assert sources.leaks == ALLOWED, "an exception that nobody needs any more"
    assert {call.file for call in sources.calls["run_script"]} == RUNNERS_OF_SCRIPTS


def test_statements_for_the_client_are_too() -> None:
    """launcher/ feeds text to MariaDB's client, which takes no parameters."""
    sources = Sources({"launcher/database.py": (ROOT / "launcher/database.py").read_text()})
    for call in sources.calls["run"]:
        if ast.unparse(call.node.func) == "self.run":
            sources._follow(call.node.args[0], call.file, call.scope, set())
    # A file of the repository; a folder's name; a password, quoted: test_a_database_and_its_user.
    assert sources.leaks == {
        "launcher/database.py file.read_text(encoding='utf-8')",
        "launcher/database.py create_database(password): called by nobody",
    }


@pytest.mark.parametrize(
    "text",
    [
        "def f(cursor, symbol):\n    cursor.execute(f'SELECT {symbol}')\nf(c, input())",
        "def f(cursor, symbol):\n    sql = 'SELECT ' + symbol\n    cursor.execute(sql)\nf(c, x.symbol)",
        "def f(c):\n    for name in given.names:\n        c.execute('SELECT {}'.format(name))",
        "def f(c, rows):\n    c.execute('SELECT %s' % rows[0])\nf(c, symbol=1, rows=load())",
        "def f(c):\n    marks = ', '.join(s for s in symbols)\n    c.execute(f'SELECT {marks}')",
        "def a(sql):\n    b(sql)\ndef b(sql):\n    c.execute(sql)\na(f'DROP {table.name}')",
    ],
)
def test_the_reader_sees_a_value_in_a_statement(text: str) -> None:
    assert Sources({"x.py": text}).check() != set()


def test_the_reader_lets_constants_and_marks_pass() -> None:
    text = (
        "T = ', '.join(columns(Asset))\n"
        "def f(c, names):\n    marks = ', '.join(['%s'] * len(names))\n"
        "    c.execute(f'SELECT {T} FROM t WHERE n IN ({marks})', names)\n"
    )
    assert Sources({"x.py": text}).check() == set()


HOSTILE = ["'", "''", "\\", "\\'", "\\\\'", "'; DROP TABLE dca_assets; -- ", "`", "\x00\n\x1a", "%s", "é'\\"]


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"])
def test_a_value_comes_back_as_it_went_whatever_the_servers_default_mode(server: Server, mode: str) -> None:
    """A mode in which the connector's own quoting would not hold must not be a session's of ours."""
    before = server.run("SELECT @@global.sql_mode")[0][0]
    server.run(f"SET GLOBAL sql_mode = '{mode}'")
    try:
        made = server.create()
        try:
            with Store(made) as store:
                marks = ", ".join(f"%s AS v{number}" for number in range(len(HOSTILE)))
                rows = store.transaction(lambda tx: tx._rows(f"SELECT {marks}", *HOSTILE))
                own = store.transaction(lambda tx: tx._rows("SELECT @@session.sql_mode AS mode"))[0]["mode"]
            assert list(rows[0].values()) == HOSTILE
            assert not {"NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"} & set(own.split(","))
        finally:
            server.drop(made)
    finally:
        server.run(f"SET GLOBAL sql_mode = '{before}'")


def test_names_and_passwords_are_quoted_where_no_parameter_is_possible(server: Server) -> None:
    """CREATE USER and GRANT take none. The mode is the one that create_database.make sets first."""
    with (
        mysql.connector.connect(
            unix_socket=server.settings.socket, user=server.settings.user, password=server.settings.password
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET SESSION sql_mode = ''")
        for value in HOSTILE:
            cursor.execute(f"SELECT {create_database._text(value)}")
            assert cursor.fetchone() == (value,)
    for value in ("a'b", "a`b", "a b", "", "a;b", "ä\n"):
        with pytest.raises(ValueError, match="not a plain name"):
            launcher_database._word(value)


def test_the_server_cannot_ask_for_our_files(server: Server) -> None:
    """LOAD DATA LOCAL is how a hijacked server would read .env; the connector refuses it unless told."""
    with connected(server.settings) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE mysql.stolen (line TEXT)")
        with pytest.raises(mysql.connector.Error):
            cursor.execute("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE mysql.stolen")
