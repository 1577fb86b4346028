"""The architecture check finds what it is there for: each rule broken once in a tree of its own."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check import check  # noqa: E402


def verdict(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return check(root)


class Rules(unittest.TestCase):
    def assert_broken(self, files, words):
        broken, _ = verdict(files)
        self.assertTrue(any(words in line for line in broken), f"expected '{words}' in {broken}")

    def test_a_clean_tree_passes(self):
        broken, _ = verdict({
            "host/core/a.h": "// a\n#include <string>\n",
            "host/front/b.cpp": '// b\n#include "core/a.h"\n#include "wire/c.h"\n#include "config/config.h"\n',
            "host/wire/c.h": "// c\n",
            "host/wire/c.cpp": "// c\n#include <sys/epoll.h>\n",
            "plugins/p/p.cpp": "// p\n#include <portolan/plugin.hpp>\n#include <nlohmann/json.hpp>\n#include <string>\n",
        })
        self.assertEqual(broken, [])

    def test_a_room_may_not_include_a_room_it_does_not_know(self):
        self.assert_broken({"host/wire/a.cpp": '// a\n#include "front/routes.h"\n'}, "wire may not include front/routes.h")

    def test_core_includes_no_room(self):
        self.assert_broken({"host/core/a.h": '// a\n#include "config/config.h"\n'}, "core includes std only")

    def test_of_config_others_see_one_header(self):
        self.assert_broken({"host/front/a.cpp": '// a\n#include "config/read.h"\n'}, "config/config.h only")

    def test_poco_stays_out_of_the_data_plane(self):
        self.assert_broken({"host/front/a.cpp": "// a\n#include <Poco/URI.h>\n"}, "Poco/URI.h")

    def test_boost_dll_is_in_one_file(self):
        self.assert_broken({"host/plugin/trust.cpp": "// a\n#include <boost/dll.hpp>\n"}, "boost/dll.hpp")

    def test_the_abi_is_known_to_the_wall_only(self):
        self.assert_broken({"host/dispatch/a.cpp": "// a\n#include <portolan/abi.h>\n"}, "portolan/abi.h")

    def test_simdjson_is_in_dialect_only(self):
        self.assert_broken({"host/front/a.cpp": "// a\n#include <simdjson.h>\n"}, "simdjson.h")

    def test_nlohmann_is_not_on_the_way_of_a_request(self):
        self.assert_broken({"host/dispatch/a.cpp": "// a\n#include <nlohmann/json.hpp>\n"}, "not on the way of a request")

    def test_the_wall_sees_two_headers_of_the_host(self):
        self.assert_broken({"host/plugin/a.cpp": '// a\n#include "dispatch/dispatcher.h"\n'}, "plugin may not include")

    def test_a_contract_knows_core_alone(self):
        self.assert_broken({"host/dispatch/provider.h": '// a\n#include "wire/http.h"\n'}, "a contract includes core only")

    def test_nobody_includes_the_wall_but_the_app(self):
        self.assert_broken({"host/front/a.cpp": '// a\n#include "plugin/registry.h"\n'}, "front may not include plugin/registry.h")
        broken, _ = verdict({"host/app.cpp": '// a\n#include "plugin/registry.h"\n#include "front/routes.h"\n'})
        self.assertEqual(broken, [])

    def test_plugins_never_see_the_host(self):
        self.assert_broken({"plugins/p/p.cpp": '// p\n#include "core/text.h"\n'}, "sdk, std and nlohmann only")
        self.assert_broken({"policies/p/p.cpp": "// p\n#include <boost/asio.hpp>\n"}, "sdk, std and nlohmann only")

    def test_cycles_between_rooms_are_found(self):
        self.assert_broken({"host/ledger/a.h": '// a\n#include "routing/b.h"\n', "host/routing/b.h": '// b\n#include "ledger/a.h"\n'},
                           "rooms include each other")

    def test_paths_of_a_machine_are_found(self):
        self.assert_broken({"docs/a.md": "see /ho" + "me/someone/portolan for it\n"}, "path of one machine")

    def test_a_file_says_what_it_is_for(self):
        self.assert_broken({"host/core/a.h": "#pragma once\n"}, "first line")

    def test_long_files_are_a_warning(self):
        broken, warnings = verdict({"host/core/a.cpp": "// a\n" + "int x;\n" * 401})
        self.assertEqual(broken, [])
        self.assertEqual(len(warnings), 1)


if __name__ == "__main__":
    unittest.main()
