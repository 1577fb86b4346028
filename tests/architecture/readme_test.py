"""The README shows real code: each block behind `<!-- code: PATH -->` equals that file, and links lead somewhere. --update fills the blocks in."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- code: (\S+) -->\n```\w*\n)(.*?)(```\n)", re.S)


def source(path):
    """The file, or the one C++ file of a folder."""
    at = ROOT / path
    if at.is_dir():
        (at,) = sorted(at.glob("*.cpp"))
    return at.read_text()


class Readme(unittest.TestCase):
    def test_code_blocks_equal_their_files(self):
        blocks = BLOCK.findall(README.read_text())
        self.assertGreaterEqual(len(blocks), 2)
        for _, path, shown, _ in blocks:
            with self.subTest(path):
                self.assertEqual(shown, source(path), "run tests/architecture/readme_test.py --update")

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
        README.write_text(BLOCK.sub(lambda m: m.group(1) + source(m.group(2)) + m.group(4), README.read_text()))
    else:
        unittest.main()
