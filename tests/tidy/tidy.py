"""Checks what a compiler does not: the rules of the house that can be checked mechanically.

    tidy.py ROOT    prints each violation as path:line: what, and what to do; exits 1 on any

Rules: floors and doors of includes, line, function and file length, calls that have a better
replacement, atomics that name their order and give a reason, TODO without an issue, the folder list
of README.md. Long functions and files that exist are recorded in exceptions.txt; an entry may
only shrink (a ratchet).
"""
import ast
import os
import re
import sys
from pathlib import Path

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

SKIPPED_FOLDERS = {".git", "__pycache__", ".ccache", ".cache"}
CPP_SUFFIXES = {".h", ".cc"}

# Third-party headers and the folders or files that are their doors. tests/ and bench/ may all.
DOORS = {
    "simdjson": ["engine/parse/"],
    "concurrentqueue": ["engine/core/include/grace/core/fanin_queue.h"],
    "blockingconcurrentqueue": [],
    "openssl/": ["ledger/"],
    "Eigen/": ["detectors/proactive/", "models/"],
    "toml++/": ["tools/"],
    "CLI/": ["tools/"],
    "httplib": ["tools/"],
    "mimalloc": ["tools/"],
    "librdkafka/": ["engine/ingest/"],
    "xxhash": ["engine/core/src/"],
    "zstd": ["engine/ingest/", "ledger/"],
    "zlib": ["engine/ingest/"],
    "tl/expected": ["engine/core/include/grace/core/error.h", "ledger/include/"],
    "sanitizer/": ["engine/core/include/grace/core/fanin_queue.h"],
    "boost/": [],
    "benchmark/": [],
    "gtest/": [],
    "gmock/": [],
}
# Headers of the C library and the kernel: no door needed.
SYSTEM_HEADER = re.compile(
    r"^((sys|net|netinet|arpa|linux|asm|bits)/[\w./]+|"
    r"(aio|dirent|dlfcn|errno|fcntl|fnmatch|getopt|glob|grp|limits|link|malloc|math|netdb|poll|"
    r"pthread|pwd|sched|semaphore|signal|spawn|stdint|stdlib|string|strings|termios|time|unistd|"
    r"utime|x86intrin|[a-z]mmintrin|cpuid)\.h)$")
STANDARD_HEADER = re.compile(r"^[a-z_0-9]+$")

# pattern on code without comments and strings -> what to use instead
BANNED = [
    (r"\bassert\s*\(", "GRACE_ASSERT: a release drops assert"),
    (r"(?<![\w.>:])(std::|::)?system\s*\(", "core/step_executor.h: no shell"),
    (r"\bpopen\s*\(", "core/step_executor.h: no shell"),
    (r"\bstrcpy\s*\(", "std::string or std::memcpy with a bound"),
    (r"\bstrcat\s*\(", "std::string"),
    (r"\bstrtok\s*\(", "std::string_view"),
    (r"\bv?sprintf\s*\(", "snprintf or core/json_writer.h"),
    (r"(?<![\w.>:])(std::|::)?s?rand\s*\(", "core/hash.h: mix() of an identifier"),
    (r"\bstd::endl\b", "'\\n': endl flushes"),
    (r"(?<!asm )\bvolatile\b", "std::atomic: volatile does not order threads"),
    (r"\b(atomic_thread_fence|atomic_signal_fence)\b", "an order on the operation itself"),
    (r"\busing\s+namespace\s+std\s*;", "the full name"),
    (r"\bNULL\b", "nullptr"),
    (r"\b(gmtime|localtime|asctime|ctime)\s*\(", "core/time.h: not safe beside other threads"),
]
ATOMIC_CALL = re.compile(
    r"(?:\.|->)(load|store|exchange|fetch_add|fetch_sub|fetch_or|fetch_and|fetch_xor|"
    r"compare_exchange_weak|compare_exchange_strong|test_and_set)\s*\(")
ORDER_WORD = re.compile(r"relaxed|acquire|release|acq_rel|seq_cst", re.IGNORECASE)
# How far above an atomic operation the comment on its order may stand.
REASON_LINES = 10
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\s*\(#\d+\))")


def strip_code(text):
    """Text with comments, strings and character literals blanked; lines and columns are kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)
    blank = lambda match: re.sub(r"[^\n]", " ", match.group())
    return pattern.sub(blank, text)


def comment_lines(text):
    """Numbers (from 1) of lines that hold a comment which speaks of a memory order."""
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        mark = line.find("//")
        if mark >= 0 and ORDER_WORD.search(line[mark:]):
            found.add(number)
    return found


def balanced(code, start):
    """The text between the parenthesis at `start` and its partner."""
    depth = 0
    for at in range(start, len(code)):
        if code[at] == "(":
            depth += 1
        elif code[at] == ")":
            depth -= 1
            if depth == 0:
                return code[start + 1:at]
    return code[start + 1:]


def classify_block(head, inside_function):
    """What an opening brace begins, from the text since the last statement or block."""
    if inside_function:
        return "block"
    head = re.sub(r"\[\[.*?\]\]|alignas\s*\([^()]*\)", " ", head)
    if re.search(r"\bnamespace\b", head) or 'extern "' in head or head.strip() == "extern":
        return "namespace"
    if re.search(r"\b(class|struct|union|enum)\b", head) and not re.search(r"\)\s*[^()]*$", head):
        return "type"
    if re.search(r"\)\s*[^()]*$", head) and not re.search(r"(?<![=!<>])=\s*$", head):
        return "function"
    return "block"


def function_name(head):
    match = re.search(r"([~\w:]+|operator\s*\S+)\s*\(([^()]*)", head.strip())
    if not match:
        return "?"
    if match.group(1) in ("TEST", "TEST_F", "TEST_P", "BENCHMARK_F"):
        return f"{match.group(1)}({' '.join(match.group(2).split())})".replace(" ", "")
    return match.group(1)


def cpp_functions(code):
    """(name, first line, line count) of each function with a body."""
    # Macros' continuation lines would unbalance braces.
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: re.sub(r"[^\n]", " ", m.group()),
                  code, flags=re.MULTILINE)
    stack = []
    begin = 0
    depth_round = 0
    for at, char in enumerate(code):
        if char in "()":
            depth_round += 1 if char == "(" else -1
        elif char == "{":
            head = code[begin:at]
            inside = any(kind == "function" for kind, _, _ in stack) or depth_round > 0
            kind = classify_block(head, inside)
            first = code.count("\n", 0, begin + len(head) - len(head.lstrip())) + 1
            stack.append((kind, function_name(head) if kind == "function" else "", first))
            begin = at + 1
        elif char == "}":
            if stack:
                kind, name, first = stack.pop()
                if kind == "function":
                    yield name, first, code.count("\n", 0, at) + 2 - first
            begin = at + 1
        elif char == ";" and depth_round == 0:
            begin = at + 1
        elif char == ":" and code[begin:at].strip() in ("public", "private", "protected"):
            begin = at + 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


class Tidy:
    def __init__(self, root):
        self.root = Path(root)
        self.problems = []
        self.long = {}  # "function path name" or "file path" -> lines

    def report(self, path, line, text):
        self.problems.append(f"{path}:{line}: {text}")

    def files(self):
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS
                                and not (Path(folder) == self.root and name.startswith("build")))
            for name in sorted(names):
                yield (Path(folder) / name).relative_to(self.root).as_posix()

    def run(self):
        for path in self.files():
            suffix = Path(path).suffix
            is_cmake = Path(path).name == "CMakeLists.txt" or suffix == ".cmake"
            if suffix not in CPP_SUFFIXES | {".py"} and not is_cmake:
                continue
            text = (self.root / path).read_text(encoding="utf-8")
            self.check_lines(path, text)
            if is_cmake:
                continue
            if len(text.splitlines()) > FILE_LINES_MAX:
                self.long[f"file {path}"] = len(text.splitlines())
            if suffix == ".py":
                self.record_functions(path, python_functions(text))
            else:
                self.check_cpp(path, text)
        self.check_ratchet()
        self.check_readme()
        return self.problems

    def check_lines(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > COLUMNS_MAX:
                self.report(path, number, f"{len(line)} columns, at most {COLUMNS_MAX}")
            if line.rstrip() != line:
                self.report(path, number, "blanks at the end of the line")
            if not path.startswith("tests/tidy/") and TODO.search(line):
                self.report(path, number, "TODO without an issue: write TODO(#123), or do it")

    def record_functions(self, path, functions):
        for name, _, lines in functions:
            if lines > FUNCTION_LINES_MAX:
                key = f"function {path} {name}"
                self.long[key] = max(lines, self.long.get(key, 0))

    def check_cpp(self, path, text):
        code = strip_code(text)
        if path.endswith(".h") and not text.lstrip().startswith("#pragma once"):
            self.report(path, 1, "a header begins with #pragma once")
        for number, line in enumerate(text.split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                self.check_include(path, number, match.group(1) == "<", match.group(2))
        for pattern, instead in BANNED:
            for match in re.finditer(pattern, code):
                line = code.count("\n", 0, match.start()) + 1
                self.report(path, line, f"'{match.group().strip()}' is banned; use {instead}")
        self.check_atomics(path, text, code)
        self.record_functions(path, cpp_functions(code))

    def check_atomics(self, path, text, code):
        if path.startswith(("tests/", "bench/")):
            return  # there the default, one total order, is simple and right
        reasons = comment_lines(text)
        for match in ATOMIC_CALL.finditer(code):
            call = match.group(1)
            arguments = balanced(code, match.end() - 1)
            line = code.count("\n", 0, match.start()) + 1
            if "memory_order" not in arguments:
                # Containers and configs have load() and store() with other arguments.
                if call == "load" and arguments.strip():
                    continue
                self.report(path, line, f"{call}() without a memory order: name it, and say why")
            elif not reasons.intersection(range(line - REASON_LINES, line + 2)):
                self.report(path, line, f"{call}() names its order, but no comment says why")

    # --- includes ---

    def check_include(self, path, line, angle, header):
        if path.startswith(("tests/", "bench/")):
            return
        if header.startswith("grace/"):
            self.check_floor(path, line, header)
        elif any(header == name or header.startswith(name) for name in DOORS):
            door = next(name for name in DOORS if header.startswith(name))
            if not path.startswith(tuple(DOORS[door]) or ("\0",)):
                where = ", ".join(DOORS[door]) or "tests/ and bench/"
                self.report(path, line, f"<{header}> stays behind its door: {where}")
        elif angle:
            if not (STANDARD_HEADER.match(header) or SYSTEM_HEADER.match(header)):
                self.report(path, line, f"<{header}> has no door: add it to DOORS in tidy.py")
        elif not self.is_private_header(path, header):
            self.report(path, line, f'"{header}" is no private header of this module')

    def is_private_header(self, path, header):
        module = self.module_folder(path)
        beside = Path(path).parent / header
        candidates = [beside.as_posix(), f"{module}/src/{header}", f"{module}/{header}"]
        return any((self.root / name).is_file() and name.startswith(f"{module}/")
                   and ".." not in Path(name).parts for name in candidates)

    @staticmethod
    def module_folder(path):
        parts = path.split("/")
        return parts[0] if parts[0] in ("ledger", "tools") else "/".join(parts[:2])

    def check_floor(self, path, line, header):
        target = header.split("/")[1]
        parts = path.split("/")
        if parts[0] == "tools":
            return
        own = self.module_folder(path).split("/")[-1]
        allowed = {own}
        if parts[0] == "engine" and own != "core":
            allowed |= {"core", "ledger"}
        if parts[0] == "models":
            # All models share one folder of header names.
            allowed = {"core", "models"}
        if parts[0] == "detectors":
            allowed |= {"core", "models"}
        if path.startswith("engine/correlate/"):
            allowed |= {"models"}
        if own == "pipeline" and parts[0] == "engine":
            # All of the engine, but no detector: the composition root hands those in.
            engine = self.root / "engine"
            allowed |= {folder.name for folder in engine.iterdir() if folder.is_dir()}
        if target not in allowed:
            self.report(path, line, f'"{header}": {parts[0]}/{own} may include only '
                                    f'{", ".join("grace/" + name for name in sorted(allowed))}')

    # --- ratchet ---

    def check_ratchet(self):
        ledger = self.root / "tests/tidy/exceptions.txt"
        recorded = {}
        if ledger.is_file():
            for line in ledger.read_text(encoding="utf-8").splitlines():
                if line.strip() and not line.startswith("#"):
                    key, lines = line.rsplit(" ", 1)
                    recorded[key] = int(lines)
        for key, lines in sorted(self.long.items()):
            limit = FILE_LINES_MAX if key.startswith("file ") else FUNCTION_LINES_MAX
            bound = recorded.pop(key, limit)
            path = key.split(" ")[1]
            if lines > bound:
                self.report(path, 1, f"{key.split(' ', 2)[-1]} has {lines} lines, at most {bound}")
            elif lines < bound:
                self.report(path, 1, f"shrank to {lines} lines: lower '{key} {bound}' in "
                                     "tests/tidy/exceptions.txt")
        for key in recorded:
            self.report("tests/tidy/exceptions.txt", 1, f"'{key}' is short now: remove the entry")

    # --- README ---

    def check_readme(self):
        readme = self.root / "README.md"
        if not readme.is_file():
            return
        text = readme.read_text(encoding="utf-8")
        match = re.search(r"<!-- folders -->(.*?)<!-- /folders -->", text, re.DOTALL)
        if not match:
            self.report("README.md", 1, "no folder list between <!-- folders --> and "
                                        "<!-- /folders -->")
            return
        listed = set(re.findall(r"`([\w./-]+)/`", match.group(1)))
        actual = {name.rsplit("/", 1)[0].split("/")[0] for name in self.files() if "/" in name}
        actual = {name for name in actual if not name.startswith(".")}
        nested = {name for name in listed if "/" in name}
        for name in sorted((listed - nested) - actual):
            self.report("README.md", 1, f"lists `{name}/`, which does not exist")
        for name in sorted(actual - listed):
            self.report("README.md", 1, f"does not list `{name}/`")
        for name in sorted(nested):
            if not (self.root / name).is_dir():
                self.report("README.md", 1, f"lists `{name}/`, which does not exist")
        for folder in sorted({path.rsplit("/CMakeLists.txt", 1)[0] for path in self.files()
                              if re.fullmatch(r"(ledger|(engine|models|detectors)/\w+)/"
                                              r"CMakeLists.txt", path)}):
            if not (self.root / folder / "README.md").is_file():
                self.report(folder, 1, "a module has a README.md")


def main():
    if len(sys.argv) != 2:
        print("usage: tidy.py ROOT", file=sys.stderr)
        return 2
    problems = Tidy(sys.argv[1]).run()
    for problem in problems:
        print(problem)
    print(f"tidy: {len(problems)} problems" if problems else "tidy: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
