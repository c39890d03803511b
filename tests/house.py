"""The house rules that no linter knows, as functions from the text of a file to what breaks them.

`tests/test_architecture.py` shows each one fail on a bad line, and then holds it to every file.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator

DEVICE = re.compile(r"\b(cuda|mps)\b")
MUTABLE = {"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter"}
READ_ONLY = {"Mapping", "Sequence", "Collection", "Iterable", "AbstractSet"}
# Draws from the one generator of the whole process, whose state anybody may have moved.
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}
TENSOR_DRAWS = {"normal_", "uniform_", "bernoulli_", "random_", "exponential_", "multinomial"}
TORCH_NEVER = {"manual_seed", "seed", "rand_like", "randn_like", "randint_like", "set_rng_state"}
OWN_STREAMS = {"Random", "SystemRandom", "default_rng", "Generator", "PCG64", "Philox"}
NETWORK = {
    *("socket", "ssl", "http", "urllib.request", "urllib3", "requests", "httpx", "httpx2"),
    *("huggingface_hub", "aiohttp", "ftplib", "smtplib", "websockets", "xmlrpc", "socketserver"),
}
# How a program calls another, whatever it had to import for it: asyncio has all but the first two.
CONNECTING = {
    *("urlopen", "connect_ex", "open_connection", "open_unix_connection", "create_connection"),
    *("create_unix_connection", "create_datagram_endpoint", "sock_connect", "getaddrinfo"),
}
PICKLES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}

Rule = Callable[[ast.Module], Iterator[str]]


def _docstrings(tree: ast.Module) -> set[int]:
    """The identities of the constants that are documentation."""
    owners = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
    }


def _helps(tree: ast.Module) -> set[int]:
    """The identities of the constants within a `help=` argument."""
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "help"
        for inner in ast.walk(node.value)
    }


def _dotted(node: ast.AST) -> str:
    """`torch.nn.init` for the expression that reads so; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := _dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, _dotted(node.func)


def _at(node: ast.AST, what: str) -> str:
    return f"line {getattr(node, 'lineno', 1)}: {what}"


def _passes(call: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in call.keywords)


def names_a_device(tree: ast.Module) -> Iterator[str]:
    """Only `engine.py` names devices; documentation and an option's help may speak of them."""
    spoken = _docstrings(tree) | _helps(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in spoken and DEVICE.search(node.value):
                yield _at(node, f"names a device: {node.value!r}")
        elif isinstance(node, ast.Attribute) and DEVICE.fullmatch(node.attr):
            yield _at(node, f"names a device: .{node.attr}")


def reads_the_process(tree: ast.Module) -> Iterator[str]:
    """Only `cli` reads the environment and the command line."""
    bad = {"os.environ", "os.environb", "os.getenv", "os.putenv", "sys.argv"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _dotted(node) in bad:
            yield _at(node, f"reads {_dotted(node)}")
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "sys"}:
            for alias in node.names:
                if f"{node.module}.{alias.name}" in bad:
                    yield _at(node, f"reads {node.module}.{alias.name}")


def catches_everything(tree: ast.Module) -> Iterator[str]:
    """No handler for every exception, unless it tidies up and raises the same again."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"" if each is None else _dotted(each) for each in caught}
        last = node.body[-1]
        again = isinstance(last, ast.Raise) and last.exc is None
        if "Exception" in names or (names & {"", "BaseException"} and not again):
            yield _at(node, "catches every exception")


def keeps_global_state(tree: ast.Module) -> Iterator[str]:
    """Nothing at the top of a file can change: a table is annotated as read-only, or a tuple."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names, value, kind = [_dotted(target) for target in node.targets], node.value, ""
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            names, value, kind = [_dotted(node.target)], node.value, ast.unparse(node.annotation)
        else:
            continue
        literal = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
        called = isinstance(value, ast.Call) and _dotted(value.func).split(".")[-1] in MUTABLE
        kept = any(re.search(rf"\b{word}\b", kind) for word in READ_ONLY)
        if (isinstance(value, literal) or called) and not kept and names != ["__all__"]:
            yield _at(node, f"{', '.join(names)} can be changed by anybody")
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield _at(node, f"global {', '.join(node.names)}")


def takes_any_keyword(tree: ast.Module) -> Iterator[str]:
    """No `**kwargs`: a wrong name must fail where it is given."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            and node.args.kwarg
        ):
            yield _at(node, f"takes **{node.args.kwarg.arg}")


def prints(tree: ast.Module) -> Iterator[str]:
    """Only `cli` prints."""
    for call, name in _calls(tree):
        if name in {"print", "sys.stdout.write", "sys.stderr.write"}:
            yield _at(call, f"{name}()")


def draws_from_the_global_stream(tree: ast.Module) -> Iterator[str]:
    """Every random number comes from a generator that was handed in."""
    for call, name in _calls(tree):
        *owner, last = name.split(".") if name else [""]
        method = call.func.attr if isinstance(call.func, ast.Attribute) else last
        drawn = False
        if owner == ["torch"]:
            drawn = last in TORCH_NEVER or (last in TORCH_DRAWS and not _passes(call, "generator"))
        elif owner[:1] == ["torch"] and owner[-1] in {"random", "cuda", "mps"}:
            drawn = "seed" in last or "rng_state" in last
        elif owner in (["np", "random"], ["numpy", "random"], ["random"]):
            drawn = last not in OWN_STREAMS
        elif method in TENSOR_DRAWS:
            drawn = not _passes(call, "generator")
        if drawn:
            yield _at(call, f"{name or method}() draws from a stream nobody was given")


def patches(tree: ast.Module) -> Iterator[str]:
    """No `module.forward = ...`, nothing assigned into an imported module."""
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Attribute) and (
                target.attr == "forward" or _dotted(target).split(".")[0] in imported
            ):
                yield _at(node, f"patches {ast.unparse(target)}")
    for call, name in _calls(tree):
        if name == "setattr" and ast.unparse(call.args[1]) == "'forward'":
            yield _at(call, "patches forward")


def _imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
            yield node, node.module


def _within(name: str, banned: Iterable[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in banned)


def reaches_the_network(tree: ast.Module) -> Iterator[str]:
    """Painting never opens a connection."""
    for node, name in _imports(tree):
        if _within(name, NETWORK):
            yield _at(node, f"imports {name}")


def calls_somebody(tree: ast.Module) -> Iterator[str]:
    """A server is called, and calls nobody: that it listens with a socket is no reason to."""
    for call, name in _calls(tree):
        method = call.func.attr if isinstance(call.func, ast.Attribute) else name
        if method in CONNECTING:
            yield _at(call, f"{name or method}() connects to somebody")


def runs_foreign_code(tree: ast.Module) -> Iterator[str]:
    """No door through which a file could bring code: pickles, eval, exec, unguarded torch.load."""
    for node, name in _imports(tree):
        if _within(name, PICKLES):
            yield _at(node, f"imports {name}")
    for call, name in _calls(tree):
        guarded = any(
            keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True"
            for keyword in call.keywords
        )
        if name in {"eval", "exec"} or (name == "torch.load" and not guarded):
            yield _at(call, f"{name}() may run what a file says")


def has_no_opening(tree: ast.Module) -> Iterator[str]:
    """A file opens with a sentence that a stranger understands."""
    if not (ast.get_docstring(tree) or "").strip():
        yield "line 1: the file opens without a sentence that says what it is"
