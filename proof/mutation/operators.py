"""What a small mistake looks like: mutmut's operators, and some of the same form for what they do not do.

An operator takes a node of the syntax tree and makes mutants of it. Left out are those of mutmut's that
say nothing here: words for a person, logging, locals set to None, arguments that nothing runs without.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import libcst as cst
from mutmut.mutation import mutators

Node = Any
Operator = Callable[[Any], Iterator[Node]]

TWINS = (
    ("bid", "ask"),
    ("min", "max"),
    ("any", "all"),
    ("BUY", "SELL"),
    ("ROUND_UP", "ROUND_DOWN"),
    ("round_up", "round_down"),
    ("qty", "filled_qty"),
    ("created_at", "closed_at"),
    ("begins", "ends"),
    ("add", "discard"),
)
"""Names that a tired person takes for each other."""
OPPOSITES = {name: twin for pair in TWINS for name, twin in (pair, pair[::-1])}
SAYING = frozenset({"fact", "warn", "print", "say", "tell"})
FOR_A_PERSON = frozenset({"help", "metavar", "prog", "epilog", "description"})
"""Arguments of argparse that change a screen only."""
WORD = re.compile(r"""^["'][\w./-]{1,40}["']$""")
"""A string that a program compares or looks up. What has a space in it is for a person."""
MANY = 10
FALSE, TRUE = (cst.And, "False"), (cst.Or, "True")


def numbers(node: cst.BaseNumber) -> Iterator[Node]:
    """One more of few; ten times as many of many, since nobody minds 61 seconds instead of 60."""
    if isinstance(node, cst.Integer) and node.evaluated_value >= MANY:
        yield node.with_changes(value=repr(node.evaluated_value * 10))
    else:
        yield from mutators.operator_number(node)


def words(node: cst.SimpleString) -> Iterator[Node]:
    if WORD.match(node.value):
        yield from list(mutators.operator_string(node))[:1]


def names(node: cst.Name) -> Iterator[Node]:
    yield from mutators.operator_name(node)
    if node.value in OPPOSITES:
        yield node.with_changes(value=OPPOSITES[node.value])


def comparisons_and_sums(node: Node) -> Iterator[Node]:
    if not isinstance(node, cst.BooleanOperation):
        yield from mutators.operator_swap_op(node)


def operands(node: cst.BooleanOperation) -> Iterator[Node]:
    """`a and b` becomes `a`, and `b`."""
    for kept in (node.left, node.right):
        yield kept.with_changes(
            lpar=[*node.lpar, cst.LeftParen(), *kept.lpar], rpar=[*kept.rpar, cst.RightParen(), *node.rpar]
        )


def branches(node: cst.If) -> Iterator[Node]:
    """A guard that never holds, and one that always does."""
    inner = node.test.with_changes(
        lpar=[cst.LeftParen(), *node.test.lpar], rpar=[*node.test.rpar, cst.RightParen()]
    )
    for operator, word in (FALSE, TRUE):
        test = cst.BooleanOperation(left=inner, operator=operator(), right=cst.Name(word))
        yield node.with_changes(test=test)


def filters(node: cst.CompFor) -> Iterator[Node]:
    """A comprehension that takes everything."""
    for number in range(len(node.ifs)):
        yield node.with_changes(ifs=[*node.ifs[:number], *node.ifs[number + 1 :]])


def loops(node: cst.For | cst.While) -> Iterator[Node]:
    """A loop that runs once."""
    last = cst.SimpleStatementLine(body=[cst.Break()])
    yield node.with_changes(body=node.body.with_changes(body=[*node.body.body, last]))


def keyword_arguments(node: cst.Call) -> Iterator[Node]:
    """The default instead of what is given. Our values have few, and do not come about without the rest."""
    if isinstance(node.func, cst.Name) and node.func.value[:1].isupper():
        return
    for number, argument in enumerate(node.args):
        if argument.keyword is not None and argument.keyword.value not in FOR_A_PERSON:
            yield node.with_changes(args=[*node.args[:number], *node.args[number + 1 :]])


def statements(node: cst.SimpleStatementLine) -> Iterator[Node]:
    """A statement that is not there, of those that do something."""
    only = node.body[0]
    if len(node.body) == 1 and _does_something(only):
        yield node.with_changes(body=[cst.Pass()])


def _does_something(small: Node) -> bool:
    if isinstance(small, cst.Expr):
        return isinstance(small.value, cst.Call | cst.Await | cst.Yield)
    if isinstance(small, cst.Assign):
        return any(isinstance(each.target, cst.Attribute | cst.Subscript) for each in small.targets)
    if isinstance(small, cst.AugAssign):
        return True
    if isinstance(small, cst.AnnAssign):
        return isinstance(small.target, cst.Attribute) and small.value is not None
    return isinstance(small, cst.Del | cst.Raise)


OPERATORS: tuple[tuple[type, Operator], ...] = (
    (cst.BaseNumber, numbers),
    (cst.SimpleString, words),
    (cst.Name, names),
    (cst.CSTNode, comparisons_and_sums),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.AugAssign, mutators.operator_augmented_assignment),
    (cst.Match, mutators.operator_match),
    (cst.IfExp, mutators.operator_if_exp),
    (cst.BooleanOperation, operands),
    (cst.If, branches),
    (cst.CompFor, filters),
    (cst.For, loops),
    (cst.While, loops),
    (cst.Call, keyword_arguments),
    (cst.SimpleStatementLine, statements),
)


def is_left_alone(node: Node) -> bool:
    """What is not looked into: types, assertions, messages, logging, imports."""
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Assert | cst.Import | cst.ImportFrom):
        return True
    if isinstance(node, cst.FormattedString | cst.ConcatenatedString):
        return True
    if isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value in FOR_A_PERSON:
        return True
    if isinstance(node, cst.Call):
        told = isinstance(node.func, cst.Attribute) and isinstance(node.func.value, cst.Attribute)
        if told and node.func.value.attr.value == "_troubles":
            return True  # lines of the log
        return isinstance(node.func, cst.Name) and node.func.value in {*SAYING, "TypeVar"}
    if isinstance(node, cst.SimpleStatementLine):
        first = node.body[0]
        return isinstance(first, cst.Expr) and (
            isinstance(first.value, cst.SimpleString) or is_left_alone(first.value)
        )
    return False
