#include "verifier/code/python_programs.h"

#include "absl/strings/str_cat.h"

namespace ponder::verifier {
namespace {

// exit and quit come from the site module, which is not loaded; long numbers may be printed.
constexpr absl::string_view kStream = R"py(
import sys, builtins
builtins.exit = builtins.quit = sys.exit
sys.set_int_max_str_digits(0)
sys.argv = ["/box/main.py"]
__file__ = "/box/main.py"
with open(__file__, "rb") as file:
    code = compile(file.read(), __file__, "exec")
del sys, builtins, file
exec(code)
)py";

constexpr absl::string_view kWire = R"py(
import sys, os, builtins
sys.set_int_max_str_digits(0)

def _make_wire(type=type, str=str, len=len, int=int, float=float, repr=repr, bool=bool, range=range,
               bytes=bytes, complex=complex, list=list, tuple=tuple, set=set, frozenset=frozenset, dict=dict,
               ValueError=ValueError, EOFError=EOFError, read=os.read, write=os.write,
               memoryview=memoryview, modules=sys.modules):
    many = {list: b"l", tuple: b"t", set: b"e", frozenset: b"z"}
    def encode(value, out, depth=0):
        kind = type(value)
        if depth > 100: raise ValueError("nested too deep")
        if value is None: out.append(b"N")
        elif kind is bool: out.append(b"T" if value else b"F")
        elif kind is int: out.append(b"i%d;" % value)
        elif kind is float: out.append(b"f" + repr(value).encode() + b";")
        elif kind is complex:
            out.append(b"c" + repr(value.real).encode() + b"," + repr(value.imag).encode() + b";")
        elif kind is str:
            text = value.encode("utf-8", "surrogatepass")
            out.append(b"s%d:" % len(text)); out.append(text)
        elif kind is bytes:
            out.append(b"b%d:" % len(value)); out.append(value)
        elif kind in many:
            out.append(many[kind] + b"%d:" % len(value))
            for item in value: encode(item, out, depth + 1)
        else:
            known = modules.get("collections")
            if kind is dict or known and kind in (known.Counter, known.OrderedDict, known.defaultdict):
                out.append(b"d%d:" % dict.__len__(value))
                for key, item in dict.items(value):
                    encode(key, out, depth + 1); encode(item, out, depth + 1)
            else:
                name = str.encode(kind.__name__, "utf-8", "replace")
                out.append(b"x%d:" % len(name)); out.append(name)
    def decode(data):
        at = 0
        def until(mark):
            nonlocal at
            end = data.index(mark, at)
            text = data[at:end]
            at = end + 1
            return text
        def value(depth):
            nonlocal at
            if depth > 101: raise ValueError("nested too deep")
            tag = data[at:at + 1]
            at += 1
            if tag == b"N": return None
            if tag == b"T": return True
            if tag == b"F": return False
            if tag == b"i": return int(until(b";"))
            if tag == b"f": return float(until(b";"))
            if tag == b"c":
                real, imaginary = until(b";").split(b",")
                return complex(float(real), float(imaginary))
            size = int(until(b":"))
            if size < 0 or size > len(data): raise ValueError("bad size")
            if tag in b"sbx" and tag:
                text = data[at:at + size]
                if len(text) != size: raise ValueError("bad size")
                at += size
                if tag == b"s": return text.decode("utf-8", "surrogatepass")
                return text if tag == b"b" else Foreign(text.decode("utf-8", "replace"))
            if tag == b"d":
                return {value(depth + 1): value(depth + 1) for _ in range(size)}
            items = [value(depth + 1) for _ in range(size)]
            if tag == b"l": return items
            if tag == b"t": return tuple(items)
            if tag == b"e": return set(items)
            if tag == b"z": return frozenset(items)
            raise ValueError("bad tag")
        result = value(0)
        if at != len(data): raise ValueError("more than a value")
        return result
    def read_exactly(fd, size):
        parts = []
        while size:
            part = read(fd, size if size < 1 << 16 else 1 << 16)
            if not part: raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
    def receive(fd, most):
        size = int(read_exactly(fd, 8), 16)
        if size > most: raise ValueError("too long")
        return read_exactly(fd, size)
    def send(fd, parts):
        data = b"".join(parts)
        data = memoryview(b"%08x" % len(data) + data)
        while data: data = data[write(fd, data):]
    return encode, decode, receive, send

class Foreign:
    "A value of a type that does not cross; equal to nothing."
    def __init__(self, name): self.name = name
    def __eq__(self, other): return False
    __hash__ = object.__hash__
)py";

constexpr absl::string_view kCall = R"py(
builtins.exit = builtins.quit = sys.exit
def _serve(wire, source):
    encode, decode, receive, send = wire
    globals_ = {"__name__": "solution", "__file__": "/box/main.py", "__builtins__": builtins}
    module = type(sys)("solution")
    module.__dict__.update(globals_)
    sys.modules["solution"] = module
    globals_ = module.__dict__
    sys.argv = ["/box/main.py"]
    if "Solution" in source:
        import typing
        for name in typing.__all__: globals_.setdefault(name, getattr(typing, name))
    code = compile(source, "/box/main.py", "exec")
    exec(code, globals_)
    BaseException_, EOFError_, SystemExit_ = BaseException, EOFError, SystemExit
    type_, callable_, getattr_ = type, callable, getattr
    while True:
        try: request = receive(3, 1 << 30)
        except EOFError_: return
        name, args, kwargs = decode(request[16:])
        reply = [request[:16], b"o"]
        try:
            function = globals_.get(name)
            if function is None and "Solution" in globals_:
                function = getattr_(globals_["Solution"](), name)
            if function is None: raise NameError("no function " + name)
            encode(function(*args, **kwargs) if callable_(function) else function, reply)
        except SystemExit_: raise
        except BaseException_ as failure:
            reply = [request[:16], b"e"]
            encode((type_(failure).__name__, "%.200s" % failure), reply)
        send(4, reply)
with open("/box/main.py", encoding="utf-8", errors="surrogateescape") as file: _source = file.read()
_serve(_make_wire(), _source)
os._exit(0)
)py";

constexpr absl::string_view kDriver = R"py(
import json
encode, decode, receive, send = _make_wire()
kMostReply = 1 << 26
calls = 0

class Lost(BaseException): "The answer's process is gone."
class Raised(BaseException): "The answer raised what no test expects."
class Malformed(BaseException): "The answer's process sent no value."

def call(name, args, kwargs):
    global calls
    calls += 1
    # Nobody answers before the question: a reply begins as its request did.
    question = os.urandom(8).hex().encode()
    parts = [question]
    encode((name, list(args), kwargs), parts)
    try:
        send(4, parts)
        reply = receive(3, kMostReply)
    except (EOFError, OSError): raise Lost() from None
    except ValueError: raise Malformed() from None
    if reply[:16] != question: raise Malformed()
    try: value = decode(reply[17:])
    except Exception: raise Malformed() from None
    if reply[16:17] == b"o": return value
    kind = getattr(builtins, str(value[0]), None) if type(value) is tuple and len(value) == 2 else None
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not AssertionError:
        try: error = kind(value[1])
        except Exception: error = None
        if error is not None:
            error.from_answer = True
            raise error
    raise Raised("%.100s" % (value,))

def equal(a, b):
    "As ==, but a bool is no number, at any depth of lists, tuples and dicts."
    if type(a) is bool or type(b) is bool: return type(a) is type(b) and a == b
    if type(a) is type(b) and type(a) in (list, tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    if type(a) is type(b) is dict:
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return a == b

def json_equal(got, want, tolerance):
    "want is JSON: tuples count as lists, and keys that are numbers as their text."
    if type(want) is bool or want is None or type(want) is str: return type(got) is type(want) and got == want
    if type(want) in (int, float):
        if type(got) not in (int, float): return False
        if got == want: return True
        return bool(tolerance) and abs(got - want) <= tolerance * max(1, abs(want))
    if type(want) is list:
        return type(got) in (list, tuple) and len(got) == len(want) and all(
            json_equal(g, w, tolerance) for g, w in zip(got, want))
    if type(got) is not dict or len(got) != len(want): return False
    keyed = {(str(k) if type(k) is int else k): v for k, v in got.items()}
    return keyed.keys() == want.keys() and all(json_equal(keyed[k], want[k], tolerance) for k in want)

def run_cases(tests):
    for number, case in enumerate(tests["cases"], 1):
        args = case["args"]
        if type(args) is dict: got = call(tests["function"], [], args)
        else: got = call(tests["function"], args if type(args) is list else [args], {})
        if not json_equal(got, case["output"], tests.get("tolerance")):
            return "wrong", "case %d of %d" % (number, len(tests["cases"]))
    return "right", ""

def run_asserts(source, entry, prompt):
    import ast
    class Strict(ast.NodeTransformer):
        def visit_Compare(self, node):
            self.generic_visit(node)
            if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)): return node
            test = ast.Call(ast.Name("__equal", ast.Load()), [node.left, node.comparators[0]], [])
            return test if isinstance(node.ops[0], ast.Eq) else ast.UnaryOp(ast.Not(), test)
    try:
        tree = ast.fix_missing_locations(Strict().visit(ast.parse(source)))
        code = compile(tree, "tests", "exec")
        given = compile(prompt, "prompt", "exec")
    except (SyntaxError, ValueError, RecursionError) as failure:
        return "broken", "the tests do not compile: %s" % failure
    # Modules that the tests use and leave to the answer to import: math.isclose. Ours, not its.
    modules = {node.value.id for node in ast.walk(tree)
               if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    modules &= sys.stdlib_module_names
    def proxy(name): return lambda *args, **kwargs: call(name, args, kwargs)
    class Names(dict):
        "What the tests do not define themselves is the answer's."
        def __missing__(self, name):
            if hasattr(builtins, name): raise KeyError(name)
            if name in modules: return __import__(name)
            return proxy(name)
    candidate = proxy(entry)
    names = Names({"__builtins__": builtins, "__name__": "tests", "__equal": equal, entry: candidate,
                   "candidate": candidate})
    try:
        exec(given, names)
        names[entry] = candidate
    except BaseException as failure: return "broken", "the prompt: %s" % type(failure).__name__
    try:
        exec(code, names)
        check = dict.get(names, "check")
        if calls == 0 and callable(check): check(candidate)
    except AssertionError: return "wrong", "an assertion failed"
    except (Lost, Raised, Malformed): raise
    except SystemExit: return "broken", "the tests exit"
    except Exception as failure:
        if hasattr(failure, "from_answer"):
            return "raised", type(failure).__name__
        if calls == 0: return "broken", "%s: %s" % (type(failure).__name__, failure)
        return "wrong", "%s in the tests" % type(failure).__name__
    return ("right", "") if calls else ("broken", "the tests never call the answer")

def judge(job):
    try:
        if "asserts" in job: return run_asserts(job["asserts"], job["entry"], job["prompt"])
        return run_cases(job["tests"])
    except Lost: return "lost", "the program ended before it answered"
    except Malformed: return "wrong", "a reply that is no value"
    except Raised as failure: return "raised", str(failure)
    except Exception as failure:
        if hasattr(failure, "from_answer"): return "raised", type(failure).__name__
        return "broken", "%s: %s" % (type(failure).__name__, failure)

verdict, reason = judge(json.loads(sys.stdin.buffer.read()))
os.write(1, json.dumps({"verdict": verdict, "reason": reason}).encode())
os._exit(0)
)py";

constexpr absl::string_view kChecker = R"py(
import sys, builtins
builtins.exit = builtins.quit = sys.exit
sys.set_int_max_str_digits(0)
_paths = ["/box/input.txt", "/box/output.txt", "/box/answer.txt"]
sys.argv = ["/box/checker.py"] + _paths
with open(sys.argv[0], "rb") as _file: _code = compile(_file.read(), sys.argv[0], "exec")
exec(_code)
_check = globals().get("check") or globals().get("checker")
if callable(_check):
    def _text(path):
        with open(path, encoding="utf-8", errors="replace") as file: return file.read()
    sys.exit(0 if _check(*map(_text, _paths)) else 1)
)py";

}  // namespace

absl::string_view PythonStreamProgram() { return kStream; }
std::string PythonCallProgram() { return absl::StrCat(kWire, kCall); }
std::string PythonDriverProgram() { return absl::StrCat(kWire, kDriver); }
absl::string_view PythonCheckerProgram() { return kChecker; }

}  // namespace ponder::verifier
