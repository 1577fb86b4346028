"""README and plugin guide show real code: each block behind `<!-- code: PATH -->` equals that file, and links lead somewhere. --update fills the blocks in."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs/plugins").glob("*.md"))]
BLOCK = re.compile(r"(<!-- code: (\S+) -->\n```\w*\n)(.*?)(```\n)", re.S)


def source(path):
    """The file, or the one source file of a folder."""
    at = ROOT / path
    if at.is_dir():
        (at,) = (f for f in at.iterdir() if f.suffix in (".cpp", ".c", ".rs"))
    return at.read_text()


class Readme(unittest.TestCase):
    def test_code_blocks_equal_their_files(self):
        for page in PAGES:
            blocks = BLOCK.findall(page.read_text())
            self.assertGreaterEqual(len(blocks), 2 if page == README else 1 if page.stem in ("start", "policy", "provider") else 0, page)
            for _, path, shown, _ in blocks:
                with self.subTest(f"{page.name}: {path}"):
                    self.assertEqual(shown, source(path), "run tests/architecture/readme_test.py --update")

    def test_the_guide_lists_every_rule_of_the_check(self):
        rules = re.findall(r'\{Rule::\w+, "(\w+)", "(R?\d*)", "([^"]+)"', (ROOT / "host/check/rules.cpp").read_text())
        self.assertGreaterEqual(len(rules), 20)
        for page, rows in (("check.md", [f"| `{name}` | {abi} | {what} |" for name, abi, what in rules]),
                           ("abi_rules.md", [f"`{name}`" for name, abi, _ in rules if abi])):
            text = (ROOT / "docs/plugins" / page).read_text()
            for row in rows:
                with self.subTest(f"{page}: {row}"):
                    self.assertIn(row, text)

    def test_a_provider_takes_40_lines_and_a_policy_25(self):
        for path, most in (("examples/provider_cpp", 40), ("examples/policy_cpp", 25)):
            with self.subTest(path):
                code = [x for x in source(path).splitlines() if x.strip() and not x.strip().startswith("//")]
                self.assertLessEqual(len(code), most)

    def test_links_in_the_documents_lead_somewhere(self):
        for page in [README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "host").rglob("README.md")]:
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
                with self.subTest(f"{page.relative_to(ROOT)} -> {target}"):
                    self.assertTrue((page.parent / target).exists())


if __name__ == "__main__":
    if "--update" in sys.argv:
        for page in PAGES:
            page.write_text(BLOCK.sub(lambda m: m.group(1) + source(m.group(2)) + m.group(4), page.read_text()))
    else:
        unittest.main()
