"""What every official library for Python must do over faults: run.py sets the environment."""

import concurrent.futures
import json
import os
import unittest

HELLO = "Hello from faultd"


def run(ask, api_error, authentication_error):
    """`ask(case)`: the text of the answer. Nothing that was cut passes for one, and every failure is an error of the library's that says something."""

    def asked(case):
        try:
            return ask(case)
        except Exception as error:
            return error

    class Faults(unittest.TestCase):
        def test_every_fault(self):
            cases = json.loads(os.environ["FAULT_CASES"])
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                for case, got in zip(cases, pool.map(asked, cases)):
                    with self.subTest(case["name"]):
                        if case["answers"]:
                            self.assertEqual(got, HELLO)
                        else:
                            self.assertIsInstance(got, api_error)
                            self.assertNotIsInstance(got, authentication_error)
                            self.assertGreater(len(str(got)), 5)

    result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Faults))
    raise SystemExit(not result.wasSuccessful())
