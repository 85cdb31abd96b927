"""Feeds tidy.py trees with one fault each and expects it to be found; and clean ones."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tidy  # noqa: E402


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        for name in ("core", "parse", "limit", "pipeline"):
            (self.root / "engine" / name).mkdir(parents=True)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def problems(self):
        return tidy.Tidy(self.root).run()

    def expect(self, path, text, wanted):
        self.write(path, text)
        found = self.problems()
        self.assertEqual(len(found), 1, found)
        self.assertIn(wanted, found[0])
        self.assertTrue(found[0].startswith(path), found[0])
        (self.root / path).unlink()

    def expect_clean(self, path, text):
        self.write(path, text)
        self.assertEqual(self.problems(), [])
        (self.root / path).unlink()

    # --- includes ---

    def test_stage_may_not_include_another_stage(self):
        self.expect("engine/parse/src/a.cc", '#include "grace/limit/gate.h"\n', "may include only")
        self.expect_clean("engine/parse/src/a.cc",
                          '#include "grace/core/event.h"\n#include "grace/parse/parser.h"\n'
                          '#include "grace/ledger/writer.h"\n')

    def test_core_includes_no_stage_and_no_ledger(self):
        self.expect("engine/core/src/a.cc", '#include "grace/parse/parser.h"\n', "engine/core")
        self.expect("engine/core/src/a.cc", '#include "grace/ledger/writer.h"\n', "engine/core")

    def test_pipeline_sees_every_stage_but_no_detector(self):
        self.expect_clean("engine/pipeline/src/a.cc", '#include "grace/parse/parser.h"\n')
        self.expect("engine/pipeline/src/a.cc", '#include "grace/proactive/proactive.h"\n',
                    "engine/pipeline may include only")

    def test_models_include_core_and_models_only(self):
        self.expect_clean("models/series/src/a.cc",
                          '#include "grace/core/hash.h"\n#include "grace/models/a.h"\n')
        self.expect("models/series/src/a.cc", '#include "grace/parse/parser.h"\n',
                    "models/series may include only")
        self.expect("models/series/src/a.cc", '#include "grace/series/a.h"\n', "may include only")

    def test_detectors_and_correlate_may_use_models(self):
        self.expect_clean("detectors/proactive/src/a.cc", '#include "grace/models/a.h"\n')
        self.expect_clean("engine/correlate/src/a.cc", '#include "grace/models/a.h"\n')
        self.expect("engine/parse/src/a.cc", '#include "grace/models/a.h"\n', "may include only")

    def test_detector_includes_core_and_models_only(self):
        self.expect("detectors/proactive/src/a.cc", '#include "grace/parse/parser.h"\n',
                    "detectors/proactive may include only")
        self.expect("detectors/proactive/src/a.cc", '#include "grace/ledger/writer.h"\n',
                    "detectors/proactive may include only")

    def test_models_stand_on_core_alone_and_carry_detectors(self):
        self.expect_clean("models/series/src/a.cc",
                          '#include "grace/core/event.h"\n#include "grace/models/a.h"\n')
        self.expect("models/series/src/b.cc", '#include "grace/correlate/correlator.h"\n',
                    "models/series may include only")
        self.expect_clean("detectors/proactive/src/b.cc", '#include "grace/models/a.h"\n')
        self.expect_clean("engine/correlate/src/b.cc", '#include "grace/models/a.h"\n')
        self.expect("engine/parse/src/b.cc", '#include "grace/models/a.h"\n',
                    "engine/parse may include only")

    def test_ledger_stands_alone(self):
        self.expect("ledger/src/a.cc", '#include "grace/core/error.h"\n', "may include only")
        self.expect_clean("ledger/src/a.cc", "#include <openssl/evp.h>\n#include <sys/mman.h>\n")

    def test_nothing_includes_tools(self):
        self.write("tools/src/cli.h", "#pragma once\n")
        self.expect("engine/parse/src/a.cc", '#include "../../../tools/src/cli.h"\n',
                    "no private header")

    def test_third_party_stays_behind_its_door(self):
        self.expect("engine/limit/src/a.cc", "#include <simdjson.h>\n", "behind its door")
        self.expect("engine/limit/src/a.cc", "#include <concurrentqueue.h>\n", "behind its door")
        self.expect("engine/pipeline/src/a.cc", "#include <openssl/sha.h>\n", "behind its door")
        self.expect("detectors/meta_loop/src/a.cc", "#include <Eigen/Dense>\n", "behind its door")
        self.expect("engine/limit/src/a.cc", "#include <mimalloc.h>\n", "behind its door")
        self.expect("engine/limit/src/a.cc", "#include <newlib/thing.hpp>\n", "has no door")
        self.expect_clean("engine/parse/src/a.cc", "#include <simdjson.h>\n")
        self.expect_clean("tests/limit/a.cc", "#include <simdjson.h>\n")

    # --- text ---

    def test_columns(self):
        self.expect("engine/core/src/a.cc", "// " + "x" * 98 + "\n", "101 columns")
        self.expect_clean("engine/core/src/a.cc", "// " + "ä" * 97 + "\n")

    def test_todo_needs_an_issue(self):
        self.expect("engine/core/src/a.cc", "// TODO: later\n", "without an issue")
        self.expect("engine/core/src/a.cc", "// FIXME\n", "without an issue")
        self.expect_clean("engine/core/src/a.cc", "// TODO(#12): later\n")

    def test_header_begins_with_pragma_once(self):
        self.expect("engine/core/include/grace/core/a.h", "struct A;\n", "#pragma once")

    # --- calls ---

    def test_banned_calls(self):
        for code in ("assert(x);", 'system("ls");', 'std::system("ls");', '::system("ls");',
                     'popen("ls", "r");',
                     "strcpy(a, b);", 'sprintf(a, "%d", 1);', "int x = rand();", "srand(1);",
                     "std::cout << std::endl;", "volatile int x;", "char* p = NULL;",
                     "std::atomic_thread_fence(std::memory_order_acquire);"):
            self.expect("engine/core/src/a.cc", f"void f() {{ {code} }}\n", "is banned")

    def test_harmless_look_alikes(self):
        for code in ("static_assert(sizeof(int) == 4);", 'snprintf(a, 2, "%d", 1);',
                     'log("assert(x) volatile NULL");', "/* system(x) */ f();", "// rand()",
                     "make_system(x);", "spawner.system(x);", "Clock::system();",
                     'asm volatile("yield");',
                     'g(R"x(system("ls"))x");', "int big = 1'000'000; f(big);"):
            self.expect_clean("engine/core/src/a.cc", f"void f() {{\n{code}\n}}\n")

    def test_atomics_name_their_order(self):
        for code in ("x.load();", "x.store(1);", "x.store(f(1, 2));", "p->fetch_add(1);",
                     "x.exchange(2);", "x.compare_exchange_strong(a, b);"):
            self.expect("engine/core/src/a.cc", f"void f() {{ {code} }}\n",
                        "without a memory order")
        self.expect_clean("engine/core/src/a.cc", "void f() { config.load(path); }\n")

    def test_atomics_say_why(self):
        code = "x.store(1, std::memory_order_release);"
        self.expect("engine/core/src/a.cc", f"void f() {{ {code} }}\n", "no comment says why")
        self.expect_clean("engine/core/src/a.cc",
                          f"void f() {{\n// [READY] release: publishes y.\n{code}\n}}\n")
        self.expect_clean("tests/core/a.cc", "void f() { x.store(1); }\n")

    # --- length ---

    @staticmethod
    def function(lines, head="int Thing::work(int a) const noexcept"):
        return f"{head} {{\n" + "  g(1);\n" * (lines - 2) + "}\n"

    def test_function_length(self):
        wrapped = "namespace a {{\nclass B {{\n public:\n{}}};\n}}\n"
        heads = ("int Thing::work(int a) const noexcept", "Thing::Thing() : a_{1}, b_(2)",
                 "TEST(Ring, Wraps)", "auto f() -> int", "template <class T>\nvoid f(T t)")
        for head in heads:
            extra = head.count("\n")
            self.expect("engine/core/src/a.cc", self.function(71 - extra, head), "71 lines")
            self.expect_clean("engine/core/src/a.cc", self.function(70 - extra, head))
        self.expect("engine/core/src/a.cc", wrapped.format(self.function(71, "void in_class()")),
                    "71 lines")
        self.expect_clean("engine/core/src/a.cc",
                          "const int kTable[] = {\n" + "  1,\n" * 100 + "};\n")
        self.expect("tests/x/a.py", "def f():\n" + "    g()\n" * 70, "71 lines")

    def test_file_length(self):
        self.expect("engine/core/src/a.cc", "int a;\n" * 501, "501 lines")
        self.expect_clean("engine/core/src/a.cc", "int a;\n" * 500)

    def test_ratchet_only_shrinks(self):
        entry = "function engine/core/src/a.cc Thing::work 80\n"
        self.write("tests/tidy/exceptions.txt", entry)
        self.expect_clean("engine/core/src/a.cc", self.function(80))
        self.expect("engine/core/src/a.cc", self.function(81), "81 lines, at most 80")
        self.expect("engine/core/src/a.cc", self.function(79), "lower")
        self.write("engine/core/src/a.cc", self.function(20))
        self.assertIn("remove the entry", self.problems()[0])

    # --- README ---

    def test_readme_lists_the_folders(self):
        page = "# x\n<!-- folders -->\n- `engine/` the engine\n{}<!-- /folders -->\n"
        self.write("engine/core/a.txt", "")
        self.expect_clean("README.md", page.format(""))
        self.expect("README.md", page.format("- `gone/`\n"), "does not exist")
        self.write("ledger/a.txt", "")
        self.expect("README.md", page.format(""), "does not list `ledger/`")
        self.expect("README.md", "# x\n", "no folder list")


if __name__ == "__main__":
    unittest.main()
