"""All mutants of a source. Pure."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst

from proof.mutation.mutant import Mutant
from proof.mutation.operators import OPERATORS, is_left_alone

TOP = "<module>"


@dataclass(frozen=True, slots=True)
class Change:
    """One of a syntax tree: `new` instead of the node `old`. `text` is the function's."""

    function: str
    text: str
    old: Any
    new: Any
    operator: str


def mutants(module: str, file: str, source: str) -> list[Mutant]:
    """All that compile and change something, each once, as they stand in the source."""
    tree = cst.parse_module(source)
    parts = [tree.code_for_node(statement) for statement in tree.body]
    head, tail = _around(source, "".join(parts))
    seen: set[str] = set()
    alike: Counter[tuple[str, str, str]] = Counter()
    found = []
    for number, statement in enumerate(tree.body):
        before, after = head + "".join(parts[:number]), "".join(parts[number + 1 :]) + tail
        for change in _changes(tree, statement):
            new = change.new if change.old is statement else statement.deep_replace(change.old, change.new)
            changed = before + tree.code_for_node(new) + after
            if changed in seen or changed == source or not _compiles(changed):
                continue
            seen.add(changed)
            was, is_now = _differing(source, changed)
            key = (change.function, was, is_now)
            found.append(
                Mutant(
                    module=module,
                    file=file,
                    function=change.function,
                    function_digest=hashlib.sha256(change.text.encode()).hexdigest()[:12],
                    operator=change.operator,
                    old=was,
                    new=is_now,
                    nth=alike[key],
                    source=changed,
                    original=source,
                )
            )
            alike[key] += 1
    return found


def _around(source: str, body: str) -> tuple[str, str]:
    """What stands before and after the statements: the first comment, the last one."""
    start = source.index(body)
    return source[:start], source[start + len(body) :]


def _changes(tree: cst.Module, statement: Any) -> Iterator[Change]:
    """What operators make of a statement of the module."""

    def walk(node: Any, names: tuple[str, ...], text: str, is_test: bool) -> Iterator[Change]:
        if is_left_alone(node):
            return
        for kind, operator in OPERATORS:
            if isinstance(node, kind) and not (is_test and _says_branches(node)):
                for new in operator(node):
                    yield Change(".".join(names) or TOP, text, node, new, operator.__name__)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            names = (*names, node.name.value)
            text = tree.code_for_node(node) if isinstance(node, cst.FunctionDef) else text
        for child in _children(node):
            yield from walk(child, names, text, _is_test(child, node, is_test))

    yield from walk(statement, (), tree.code_for_node(statement), False)


def _is_test(child: Any, parent: Any, parent_is_test: bool) -> bool:
    """Whether a node is the condition of an if, or what that compares by."""
    if isinstance(parent, cst.If | cst.IfExp):
        return child is parent.test
    return parent_is_test and isinstance(parent, cst.Comparison | cst.ComparisonTarget)


def _says_branches(node: Any) -> bool:
    """Whether its opposite says no more than a condition that always holds, and one that never does."""
    if isinstance(node, cst.ComparisonTarget):
        return isinstance(node.operator, cst.Equal | cst.NotEqual)
    if isinstance(node, cst.UnaryOperation):
        return isinstance(node.operator, cst.Not)
    return isinstance(node, cst.Is | cst.IsNot | cst.In | cst.NotIn)


def _children(node: Any) -> Iterator[Any]:
    """Not the names of arguments and parameters, which are nobody's mistake."""
    for child in node.children:
        named = isinstance(node, cst.Arg) and child is node.keyword
        if not named and not (
            isinstance(node, cst.Param | cst.FunctionDef | cst.ClassDef) and child is node.name
        ):
            yield child


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _differing(source: str, changed: str) -> tuple[str, str]:
    """The lines from the first that differs to the last, of both."""
    old, new = source.splitlines(), changed.splitlines()
    first = _alike(old, new)
    last = min(_alike(old[::-1], new[::-1]), len(old) - first, len(new) - first)
    was, is_now = old[first : len(old) - last], new[first : len(new) - last]
    return "\n".join(line.strip() for line in was), "\n".join(line.strip() for line in is_now)


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """With how many equal lines both begin."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
