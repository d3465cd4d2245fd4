"""Checks that files hold no leftovers: notes to oneself, code in comments, blanket exceptions.

Words that a file must not say are put together here from halves, so that this file passes too.
"""

import ast
import io
import re
import tokenize

import pytest

from house import PYTHON, cython_code, hold, line_of, sources, texts

NOTES = re.compile(rf"\b({'TO' + 'DO'}|{'FIX' + 'ME'}|{'X' * 3})\b")
BLANKET = re.compile(rf"#\s*({'type: ' + 'ignore'}(?!\[)|{'no' + 'qa'}(?!: ))")
# The project speaks of itself: not of who or what wrote it, on which machine, with whose packages.
FOREIGN = re.compile(
    "|".join(
        re.escape(first + second)
        for first, second in [
            *[("cla", "ude"), ("anth", "ropic"), ("open", "ai"), ("issue", " #")],
            *[("/wo", "rk/"), ("/ro", "ot/"), (".lib", "rary")],
            *[("py", "pi.org"), ("python", "hosted"), ("npm", "js"), ("debian", ".org")],
        ]
    ),
    re.IGNORECASE,
)
# A comment as short as this is taken for words whatever it looks like.
CODE_LENGTH_MIN = 10


def no_leftovers(path: str, text: str) -> list[str]:
    return [
        f"{path}:{line_of(text, match.start())} says {match[0]!r}"
        for pattern in (NOTES, BLANKET, FOREIGN)
        for match in pattern.finditer(text)
    ]


def _comments(path: str, text: str) -> list[tuple[int, str]]:
    """Line and words of each comment that has its line to itself."""
    if path.endswith(PYTHON):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = [t for t in tokens if t.type == tokenize.COMMENT]
        return [(t.start[0], t.string) for t in comments if not t.line[: t.start[1]].strip()]
    # Where the code is blank, a line that starts with # is a comment or inside a docstring.
    blank = cython_code(text).splitlines()
    lines = text.splitlines()
    return [
        (number, line.strip())
        for number, line in enumerate(lines, start=1)
        if line.lstrip().startswith("#") and not blank[number - 1].strip()
    ]


def looks_like_code(comment: str) -> bool:
    """Whether a comment is a statement that does something, rather than words or a formula."""
    code = re.sub(r"^#+ ?", "", comment).strip()
    if len(code) < CODE_LENGTH_MIN:
        return False
    if re.match(r"(cdef|cpdef|cimport) ", code) or re.match(r"from \S+ cimport ", code):
        return True
    if code.endswith(":"):
        code = code.removeprefix("el") if code.startswith("elif ") else code
        code = "try: pass\n" + code if code.startswith("except") else code
        code += " pass"
    try:
        statement = ast.parse(code).body[-1]
    except SyntaxError:
        return False
    match statement:
        case ast.Expr(ast.Call()) | ast.Import() | ast.ImportFrom() | ast.Assert() | ast.Raise():
            return True
        case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try() | ast.FunctionDef():
            return True
        case ast.ClassDef() | ast.AugAssign() | ast.Delete():
            return True
        case ast.Assign(value=value) | ast.Return(value=value):
            return isinstance(value, ast.Call | ast.Subscript | ast.Attribute | ast.Dict | ast.List)
    return False


def no_code_in_comments(path: str, text: str) -> list[str]:
    return [
        f"{path}:{line} is code in a comment: {comment}"
        for line, comment in _comments(path, text)
        if looks_like_code(comment)
    ]


def test_files_hold_no_leftovers() -> None:
    hold(no_leftovers, texts())


def test_comments_hold_no_code() -> None:
    hold(no_code_in_comments, sources())


@pytest.mark.parametrize(
    "text",
    [
        "# TO" + "DO: later",
        "x = f()  # type: " + "ignore",
        "import x  # no" + "qa",
        "see https://Py" + "PI.org/x",
        "open('/wo" + "rk/x')",
    ],
)
def test_a_leftover_is_found(text: str) -> None:
    assert len(no_leftovers("core/x.py", text)) == 1


@pytest.mark.parametrize(
    "text", ["x = f()  # type: " + "ignore[misc]", "from x import *  # no" + "qa: F403"]
)
def test_an_exception_with_its_code_is_accepted(text: str) -> None:
    assert no_leftovers("core/x.py", text) == []


@pytest.mark.parametrize(
    "comment",
    [
        "# total = sum(values)",
        "# return early(x)",
        "# if total > 3:",
        "# elif total > 3:",
        "# except ValueError:",
        "# import numpy as np",
        "# print(total)",
        "# total += weight",
        "# cdef int total",
    ],
)
@pytest.mark.parametrize("path", ["core/x.py", "ext/x.pyx"])
def test_code_in_a_comment_is_found(path: str, comment: str) -> None:
    assert len(no_code_in_comments(path, f"def f():\n    {comment}\n    pass\n")) == 1


@pytest.mark.parametrize(
    "comment",
    [
        "# A customer enters once.",
        "# p = k / n",
        "# Raises, then returns: see above.",
        "# ruff",
        "# note: (this is meant)",
        "# return early",
    ],
)
def test_words_in_a_comment_are_accepted(comment: str) -> None:
    assert no_code_in_comments("core/x.py", f"{comment}\nx = 1  # y = f(x)\n") == []
