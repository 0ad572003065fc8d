"""Go templates as rules use them: read once, made into functions, rendered many times. Knows no rule and no clock.

Only what Prometheus rules need is understood (docs/rules.md lists it); any other word is a TemplateError that names
it and where it stands. Text comes out as Prometheus would print it.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn

from bot.errors import TemplateError
from bot.rules.gofuncs import FUNCTIONS, go_type, to_text, truth

MAX_SOURCE = 8 * 1024  # characters
MAX_OUTPUT = 64 * 1024
MAX_DEPTH = 30  # ifs in ifs, and parentheses in parentheses

_PREDECLARED = {"$", "$labels", "$externalLabels", "$externalURL", "$value"}
_ROOT_FIELDS = {"Labels", "ExternalLabels", "ExternalURL", "Value"}
_UNSUPPORTED = {"range", "with", "define", "template", "block", "break", "continue"}
_KEYWORDS = {"if", "else", "end", *_UNSUPPORTED}

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{\{(-\s)?\s*/\*.*?\*/\s*(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
    |(?P<variable>\$\w*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<sign>:=|=|\||\(|\)|\.|,)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}


@dataclass(frozen=True)
class Scope:
    """What one rendering sees: the sample's labels and value, and what the server says about itself."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""


@dataclass(frozen=True)
class Template:
    """A parsed template. `labels` are the names it reads from the sample's labels."""

    source: str
    nodes: tuple[_Node, ...]
    labels: frozenset[str]
    reads_value: bool
    body: _Text = field(repr=False, compare=False)

    @property
    def static(self) -> bool:
        return all(isinstance(node, str) for node in self.nodes)

    def render(self, scope: Scope) -> str:
        """Raises TemplateError where Prometheus would write `<error expanding template: …>`."""
        if len(self.nodes) == 1 and isinstance(self.nodes[0], str):
            return self.nodes[0]
        return self.body(_Run(scope))


@dataclass(frozen=True)
class _Literal:
    value: Any


@dataclass(frozen=True)
class _Chain:
    """A variable (`$` is the root) or a parenthesis, and the fields taken of it."""

    base: str | _Pipe
    fields: tuple[str, ...]
    offset: int


@dataclass(frozen=True)
class _Call:
    name: str
    args: tuple[_Operand, ...]
    offset: int


@dataclass(frozen=True)
class _Pipe:
    commands: tuple[_Operand, ...]
    variable: str = ""  # `{{ $x := … }}` prints nothing
    declares: bool = False


@dataclass(frozen=True)
class _If:
    branches: tuple[tuple[_Pipe, tuple[_Node, ...]], ...]
    otherwise: tuple[_Node, ...]


_Operand = _Literal | _Chain | _Call
_Node = str | _Pipe | _If


@lru_cache(maxsize=8192)
def parse(source: str) -> Template:
    """Raises TemplateError naming the word that is not understood and its offset in `source`."""
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"template is longer than {MAX_SOURCE} characters")
    parser = _Parser(_pieces(source))
    nodes, end = parser.nodes(frozenset(), 0, set(_PREDECLARED))
    assert not end
    return Template(source, nodes, frozenset(parser.labels), parser.reads_value, _body(nodes))


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    offset: int


@dataclass(frozen=True)
class _Action:
    tokens: tuple[_Token, ...]
    offset: int


def _pieces(source: str) -> list[str | _Action]:
    """Literal text and actions, with the white space next to a trim marker taken away."""
    pieces: list[str | _Action] = []
    position, trim = 0, False
    while (start := source.find("{{", position)) >= 0:
        comment = _COMMENT.match(source, start)
        match = comment or _whole_action(source, start)
        left, right = (comment[1], comment[2]) if comment else (match[1], match[3])
        _add_text(pieces, source[position:start], trim, bool(left))
        if not comment:
            pieces.append(_Action(_tokens(match[2], match.start(2)), start))
        position, trim = match.end(), bool(right)
    _add_text(pieces, source[position:], trim, False)
    return pieces


def _whole_action(source: str, start: int) -> re.Match[str]:
    """From `{{` to the first `}}` that is not inside a quoted string."""
    quote, position = "", start + 2
    while position < len(source):
        char = source[position]
        if quote:
            if char == "\\" and quote == '"':
                position += 1
            elif char == quote:
                quote = ""
        elif char in '"`':
            quote = char
        elif source.startswith("}}", position):
            match = _ACTION.fullmatch(source, start, position + 2)
            assert match is not None
            return match
        position += 1
    raise TemplateError("unterminated string in action" if quote else 'unclosed action: "}}" is missing', start)


def _add_text(pieces: list[str | _Action], text: str, trim_left: bool, trim_right: bool) -> None:
    text = text.lstrip(" \t\r\n") if trim_left else text
    text = text.rstrip(" \t\r\n") if trim_right else text
    if text:
        pieces.append(text)


def _tokens(text: str, offset: int) -> tuple[_Token, ...]:
    """Blanks are kept out; `( a).b` and `a .b` differ, so a field knows by its offset whether it touches."""
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise TemplateError(f'unexpected "{text[position]}" in action', offset + position)
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], offset + position))
        position = match.end()
    return tuple(tokens)


class _Parser:
    """Recursive descent over the pieces; `labels` and `reads_value` gather what the template reads."""

    def __init__(self, pieces: list[str | _Action]) -> None:
        self._pieces = pieces
        self._position = 0
        self._tokens: tuple[_Token, ...] = ()
        self._next = 0
        self._depth = 0
        self._end = 0
        self.labels: set[str] = set()
        self.reads_value = False

    def nodes(self, ends: frozenset[str], opened_at: int, known: set[str]) -> tuple[tuple[_Node, ...], str]:
        """Reads up to one of the words in `ends`, or to the end of the text when there are none."""
        found: list[_Node] = []
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, str):
                found.append(piece)
                continue
            self._tokens, self._next, self._end = piece.tokens, 0, piece.offset
            word = self._keyword()
            if word in ends:
                return tuple(found), word
            match word:
                case "":
                    found.append(self._pipe(known, piece.offset))
                    self._finish()
                case "if":
                    found.append(self._if(piece.offset, known))
                case "end" | "else":
                    raise TemplateError(f"unexpected {{{{{word}}}}}: no if is open", piece.offset)
                case _:
                    raise TemplateError(f'"{word}" is not supported in rule templates', piece.offset)
        if ends:
            raise TemplateError("unexpected end: {{end}} of this if is missing", opened_at)
        return tuple(found), ""

    def _keyword(self) -> str:
        token = self._peek()
        if token is None or token.kind != "word" or token.text not in _KEYWORDS:
            return ""
        self._next += 1
        return token.text

    def _if(self, offset: int, known: set[str]) -> _If:
        self._enter(offset)
        branches: list[tuple[_Pipe, tuple[_Node, ...]]] = []
        otherwise: tuple[_Node, ...] = ()
        scope = set(known)
        while True:
            condition = self._pipe(scope, offset)
            self._finish()
            body, word = self.nodes(frozenset({"else", "end"}), offset, set(scope))
            branches.append((condition, body))
            if word == "else" and self._keyword() == "if":
                continue
            self._finish()
            if word == "else":
                otherwise, _ = self.nodes(frozenset({"end"}), offset, set(scope))
                self._finish()
            self._depth -= 1
            return _If(tuple(branches), otherwise)

    def _pipe(self, known: set[str], offset: int) -> _Pipe:
        variable, declares = "", False
        first, second = self._peek(), self._peek(1)
        if first and second and first.kind == "variable" and second.text in {":=", "="}:
            variable, declares = first.text, second.text == ":="
            self._next += 2
            if not declares and variable not in known:
                raise TemplateError(f"undefined variable {variable}", first.offset)
        commands = [self._command(known, offset, piped=False)]
        while (token := self._peek()) and token.text == "|":
            self._next += 1
            commands.append(self._command(known, token.offset, piped=True))
        if declares:
            known.add(variable)
        return _Pipe(tuple(commands), variable, declares)

    def _command(self, known: set[str], offset: int, *, piped: bool) -> _Operand:
        token = self._peek()
        if token is None:
            raise TemplateError("missing value: the action is empty or ends in a pipe", offset)
        if token.kind == "word" and token.text not in {"true", "false", "nil"}:
            self._next += 1
            return self._call(token, known, piped=piped)
        operand = self._operand(known)
        if isinstance(operand, _Literal) and operand.value is None:
            raise TemplateError("nil is not a command", token.offset)
        after = self._peek()
        if after is not None and after.text not in {"|", ")"}:
            raise TemplateError(f'"{token.text}" is not a function and takes no argument', token.offset)
        if piped:
            raise TemplateError(f'cannot pipe into "{token.text}": it is not a function', token.offset)
        return operand

    def _call(self, token: _Token, known: set[str], *, piped: bool) -> _Call:
        if token.text not in FUNCTIONS and token.text not in {"externalURL", "pathPrefix"}:
            raise TemplateError(f'function "{token.text}" is not supported in rule templates', token.offset)
        args: list[_Operand] = []
        while (after := self._peek()) and after.text not in {"|", ")"}:
            args.append(self._operand(known))
        call = _Call(token.text, tuple(args), token.offset)
        self._note_index(call)
        count = len(args) + piped
        _, fewest, most = FUNCTIONS.get(token.text, (None, 0, 0))
        if count < fewest or (most is not None and count > most):
            want = fewest if count < fewest else most
            raise TemplateError(f"wrong number of args for {token.text}: want {want} got {count}", token.offset)
        return call

    def _note_index(self, call: _Call) -> None:
        """`index $labels "x"` reads label x."""
        match call:
            case _Call("index", (_Chain("$labels", ()) | _Chain("$", ("Labels",)), _Literal(str() as name))):
                self.labels.add(name)

    def _operand(self, known: set[str]) -> _Operand:
        token = self._peek()
        assert token is not None
        self._next += 1
        match token.kind:
            case "string":
                return _Literal(_unquote(token))
            case "number":
                return _Literal(_number(token))
            case "word" if token.text in {"true", "false", "nil"}:
                return _Literal({"true": True, "false": False, "nil": None}[token.text])
            case "word":
                return self._call_without_args(token)
            case "variable":
                if token.text not in known:
                    raise TemplateError(f"undefined variable {token.text}", token.offset)
                return self._chain(token.text, token, ())
            case "field":
                return self._chain("$", token, (token.text[1:],))
        if token.text == ".":
            return self._chain("$", token, ())
        if token.text == "(":
            return self._parenthesis(token, known)
        raise TemplateError(f'unexpected "{token.text}" in action', token.offset)

    def _call_without_args(self, token: _Token) -> _Call:
        """A function name among arguments is called with none, as in Go."""
        if token.text in {"externalURL", "pathPrefix"}:
            return _Call(token.text, (), token.offset)
        if token.text not in FUNCTIONS:
            raise TemplateError(f'function "{token.text}" is not supported in rule templates', token.offset)
        raise TemplateError(f'put "{token.text} …" in parentheses to use its result as an argument', token.offset)

    def _parenthesis(self, token: _Token, known: set[str]) -> _Operand:
        self._enter(token.offset)
        pipe = self._pipe(known, token.offset)
        closing = self._peek()
        if closing is None or closing.text != ")":
            raise TemplateError("unclosed left paren", token.offset)
        self._next += 1
        self._depth -= 1
        return self._chain(pipe, closing, ())

    def _chain(self, base: str | _Pipe, token: _Token, fields: tuple[str, ...]) -> _Chain:
        end = token.offset + len(token.text)
        while (after := self._peek()) and after.kind == "field" and after.offset == end:
            fields += (after.text[1:],)
            end = after.offset + len(after.text)
            self._next += 1
        chain = _Chain(base, fields, token.offset)
        self._note_chain(chain)
        return chain

    def _note_chain(self, chain: _Chain) -> None:
        fields = chain.fields
        if chain.base == "$":
            if fields and fields[0] not in _ROOT_FIELDS:
                raise TemplateError(
                    f"can't evaluate field {fields[0]}: there is .Labels, .Value, .ExternalLabels and .ExternalURL",
                    chain.offset,
                )
            self.reads_value |= fields[:1] in {(), ("Value",)}
            if fields[:1] == ("Labels",):
                self.labels.update(fields[1:2])
        elif chain.base == "$value":
            self.reads_value = True
        elif chain.base == "$labels":
            self.labels.update(fields[:1])

    def _enter(self, offset: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"nested deeper than {MAX_DEPTH}", offset)

    def _finish(self) -> None:
        token = self._peek()
        if token is not None:
            raise TemplateError(f'unexpected "{token.text}" in action', token.offset)

    def _peek(self, ahead: int = 0) -> _Token | None:
        position = self._next + ahead
        return self._tokens[position] if position < len(self._tokens) else None


def _unquote(token: _Token) -> str:
    if token.text.startswith("`"):
        return token.text[1:-1]

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[code]
        if len(code) > 1:
            return chr(int(code, 8) if code[0].isdigit() else int(code[1:], 16))
        raise TemplateError(f'unknown escape "\\{code}" in string', token.offset + match.start())

    return _ESCAPE.sub(replace, token.text[1:-1])


def _number(token: _Token) -> int | float:
    text = token.text.replace("_", "")
    try:
        return int(text, 0)
    except ValueError:
        return float(text)


class _Run:
    """One rendering: its variables, and for each open if what its own declarations stand in front of."""

    __slots__ = ("hidden", "variables")

    def __init__(self, scope: Scope) -> None:
        self.hidden: list[dict[str, Any]] = []
        self.variables: dict[str, Any] = {
            "$": scope,
            "$labels": _dict(scope.labels),
            "$externalLabels": _dict(scope.external_labels),
            "$externalURL": scope.external_url,
            "$value": float(scope.value),
        }


# What the tree becomes, once: functions that call each other, so that a rendering never looks at the tree again.
_Text = Callable[[_Run], str]
_Step = Callable[[_Run], Any]


def _body(nodes: tuple[_Node, ...]) -> _Text:
    texts = [_node(node) for node in nodes]

    def body(run: _Run) -> str:
        text = "".join([text if isinstance(text, str) else text(run) for text in texts])
        if len(text) > MAX_OUTPUT:
            raise TemplateError(f"output is longer than {MAX_OUTPUT} characters")
        return text

    return body


def _node(node: _Node) -> str | _Text:
    match node:
        case str():
            return node
        case _If():
            return _branches(node)
    step = _pipe(node)
    if node.variable:
        return lambda run: (step(run), "")[1]
    return lambda run: value if type(value := step(run)) is str else _printable(value)


def _branches(node: _If) -> _Text:
    branches = [(_pipe(condition), _body(nodes)) for condition, nodes in node.branches]
    otherwise = _body(node.otherwise)

    def chosen(run: _Run) -> str:
        run.hidden.append({})
        body = next((body for condition, body in branches if truth(condition(run))), otherwise)
        text = body(run)
        # What was declared inside ends here; what was only assigned stays.
        run.variables.update(run.hidden.pop())
        return text

    return chosen


def _pipe(pipe: _Pipe) -> _Step:
    step = _operand(pipe.commands[0])
    for command in pipe.commands[1:]:
        assert isinstance(command, _Call)
        step = _call(command, step)
    return _variable(pipe, step) if pipe.variable else step


def _variable(pipe: _Pipe, step: _Step) -> _Step:
    def put(run: _Run) -> Any:
        value = step(run)
        if pipe.declares and run.hidden:
            run.hidden[-1].setdefault(pipe.variable, run.variables.get(pipe.variable))
        run.variables[pipe.variable] = value
        return value

    return put


def _operand(operand: _Operand) -> _Step:
    match operand:
        case _Literal(value):
            return lambda _: value
        case _Call():
            return _call(operand, None)
        case _Chain(base, fields, offset):
            step = _named(base) if isinstance(base, str) else _pipe(base)
            for name in fields:
                step = _field(step, name, offset)
            return step


def _named(variable: str) -> _Step:
    return lambda run: run.variables[variable]


def _field(of: _Step, name: str, offset: int) -> _Step:
    def taken(run: _Run) -> Any:
        value = of(run)
        if type(value) is dict:
            return value.get(name, "")
        if isinstance(value, Scope):
            return _root_field(value, name, offset)
        _fail(f"can't evaluate field {name} in type {go_type(value)}", offset)

    return taken


def _call(call: _Call, piped: _Step | None) -> _Step:
    """`piped` is worked out first, and is the last argument."""
    match call.name:
        case "externalURL":
            return lambda run: run.variables["$"].external_url
        case "pathPrefix":
            return lambda run: _path_of(run.variables["$"].external_url)
    steps = [*([piped] if piped else []), *map(_operand, call.args)]
    if call.name in {"and", "or"}:
        return _lazily(call, steps, piped is not None)
    function, _, _ = FUNCTIONS[call.name]

    def called(run: _Run) -> Any:
        args = [step(run) for step in steps]
        if piped:
            args.append(args.pop(0))
        if Scope in map(type, args):
            _fail(f'"." cannot be an argument of {call.name}', call.offset)
        try:
            return function(*args)
        except (TemplateError, ValueError) as error:
            raise TemplateError(f"error calling {call.name}: {error}", call.offset) from None

    return called


def _lazily(call: _Call, steps: list[_Step], has_piped: bool) -> _Step:
    """`and` and `or` stop at the first operand that decides, as in Go 1.18 and later."""
    stop_at = call.name == "or"

    def decided(run: _Run) -> Any:
        piped = steps[0](run) if has_piped else None
        value: Any = None
        for step in steps[has_piped:]:
            value = step(run)
            if truth(value) is stop_at:
                return value
        return piped if has_piped else value

    return decided


def _root_field(scope: Scope, name: str, offset: int) -> Any:
    match name:
        case "Labels":
            return _dict(scope.labels)
        case "Value":
            return float(scope.value)
        case "ExternalLabels":
            return _dict(scope.external_labels)
        case "ExternalURL":
            return scope.external_url
    raise TemplateError(f"can't evaluate field {name}", offset)


def _dict(labels: Mapping[str, str]) -> dict[str, str]:
    return labels if type(labels) is dict else dict(labels)


def _path_of(url: str) -> str:
    _, _, rest = url.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path


def _printable(value: Any) -> str:
    if isinstance(value, Scope):
        raise TemplateError('"." alone prints nothing useful; name .Labels or .Value')
    return to_text(value)


def _fail(message: str, offset: int) -> NoReturn:
    raise TemplateError(message, offset)
