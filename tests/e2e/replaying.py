"""What the replays of recorded traffic have in common: one upstream and one host for all cases, and a verdict for each, in threads."""

import collections
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

NEVER_RESTS = {"failure_threshold": 1000000, "min_requests": 1000000}  # a breaker; recorded errors are no reason to leave an upstream alone


class Replays(unittest.TestCase):
    """setUpClass() of a derived class sets `upstream` and `host`; its judge(*job) says what is wrong with a case, None: nothing."""

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()
        cls.upstream.close()

    def judge_all(self, jobs, key_of, name_of=lambda job: job[0].file):
        """(how many were judged, what was wrong), by key_of(job)."""
        wrong, total, lock = collections.defaultdict(list), collections.Counter(), threading.Lock()

        def one(job):
            try:
                verdict = self.judge(*job)
            except Exception as error:
                verdict = f"cannot be judged: {error!r}"
            with lock:
                total[key_of(job)] += 1
                if verdict:
                    wrong[key_of(job)].append(f"{name_of(job)}: {verdict}")

        with ThreadPoolExecutor(6) as workers:
            list(workers.map(one, jobs))
        return total, wrong

    def demand_all(self, total, wrong, more_than, shown=20):
        self.assertGreater(sum(total.values()), more_than)
        misses = [x for key in sorted(wrong) for x in wrong[key]]
        self.assertFalse(misses, "\n" + "\n".join(misses[:shown]))
        self.assertEqual(self.upstream.failures, [])
