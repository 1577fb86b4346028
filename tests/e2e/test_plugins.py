"""Plugins that come, change, break and go while requests run, and plugins that kill the process."""

import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest

from harness import BUILD, SLOWNESS, Portolan, ask_for, run_tests, settings, text_of, wait_until

SHIPPED = BUILD / "plugins"
FIXTURES = BUILD / "test_plugins"
STREAMS = 200


class Folder:
    """A plugin folder of this test's own, beside the shipped one."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="portolan-drop-"))
        self.n = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def content(self, source):
        """The plugin with other bytes behind it: a new version that does the same."""
        self.n += 1
        return source.read_bytes() + b"version %d" % self.n

    def put(self, source, name, in_place=False):
        """As a copy that is renamed, or by writing into the file that is there, slowly."""
        data = self.content(source)
        target = self.path / name
        if in_place:
            with open(target, "wb") as out:
                for at in range(0, len(data), 1 << 16):
                    out.write(data[at:at + (1 << 16)])
                    out.flush()
        else:
            fresh = self.path / (name + ".tmp")
            fresh.write_bytes(data)
            fresh.replace(target)

    def config(self, *providers, **more):
        plugins = {"dirs": [str(SHIPPED), str(self.path)], "trust": "any", **more.pop("plugins", {})}
        return settings(*providers, plugins=plugins, **more)


def parent_of(pid):
    """0 for one that has ended."""
    try:
        state, parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    except OSError:
        return 0
    return 0 if state == "Z" else int(parent)


def rows(host):
    return {pathlib.Path(p["file"]).name: p for p in host.get("/api/plugins").json["plugins"] if p["state"] != "draining"}


def two_seconds(condition, what):
    began = time.monotonic()
    value = wait_until(condition, 10, what)
    took = time.monotonic() - began
    if took > 2 * SLOWNESS:
        raise AssertionError(f"{what} took {took:.1f} s")
    return value


ECHO = {"name": "slow", "type": "echo", "models": ["m"], "settings": {"delay_ms": 100, "tokens": 80}}
NEW = {"name": "new", "type": "faulty", "models": ["m"]}


class Swaps(unittest.TestCase):
    def test_plugins_come_change_break_and_go_while_streams_run(self):
        with Folder() as drop:
            drop.put(SHIPPED / "echo.so", "echo.so")
            limits = {"connections_per_ip": 1000}
            with Portolan(drop.config(ECHO, server={"limits": limits})) as host:
                streams = [host.stream(ask_for("slow/m", "all is well", stream=True)) for _ in range(STREAMS)]
                self.assertTrue(all(s.head() == 200 for s in streams))
                hash_of = lambda name: rows(host).get(name, {}).get("hash")

                # a provider that is configured before its plugin is there, then the plugin
                host.write_config(drop.config(ECHO, NEW, server={"limits": limits}))
                host.wait_for_line("reload_refused")
                drop.put(FIXTURES / "test_faulty.so", "faulty.so")
                two_seconds(lambda: host.chat(ask_for("new/m")).status == 200, "serving a new plugin")
                self.assertIn("survived", host.chat(ask_for("new/m")).json["choices"][0]["message"]["content"])

                # replaced three times, both ways of writing, and the one that the streams run in as well
                for in_place in (False, True, True):
                    before = hash_of("faulty.so"), hash_of("echo.so")
                    drop.put(FIXTURES / "test_faulty.so", "faulty.so", in_place)
                    drop.put(SHIPPED / "echo.so", "echo.so", in_place)
                    two_seconds(lambda: hash_of("faulty.so") != before[0] and hash_of("echo.so") != before[1], "replacing two plugins")
                    self.assertEqual(host.chat(ask_for("new/m")).status, 200)
                draining = [p for p in host.get("/api/plugins").json["plugins"] if p["state"] == "draining"]
                self.assertTrue(any(p["id"] == rows(host)["echo.so"]["id"] for p in draining), "the streams hold the version they began with")

                # broken: what served goes on, and the reason is told
                before = hash_of("faulty.so")
                (drop.path / "faulty.so").write_bytes(b"rubbish")
                row = two_seconds(lambda: (r := rows(host)["faulty.so"])["error"] and r, "telling of a broken file")
                self.assertEqual((row["state"], row["hash"]), ("serving", before))
                self.assertIn("not an ELF file", row["error"])
                host.wait_for_line("faulty.so.*not an ELF file")
                self.assertEqual(host.chat(ask_for("new/m")).status, 200)

                # removed: it goes, and the others stay
                (drop.path / "faulty.so").unlink()
                two_seconds(lambda: host.chat(ask_for("new/m")).status != 200, "taking a removed plugin out of use")
                self.assertNotIn("faulty.so", rows(host))
                drop.put(FIXTURES / "test_faulty.so", "faulty.so")
                two_seconds(lambda: host.chat(ask_for("new/m")).status == 200, "taking it back")

                whole = [s.read_all() for s in streams]
                for s in streams:
                    s.close()
                self.assertTrue(all(s.complete for s in streams), "no stream was cut")
                self.assertTrue(all(b"[DONE]" in w and len(text_of(w).split()) == 80 for w in whole))
                wait_until(lambda: not [p for p in host.get("/api/plugins").json["plugins"] if p["state"] == "draining"], 5, "the drain")

    def test_a_policy_is_replaced_with_what_it_learned_and_keeps_it_over_a_restart(self):
        providers = [{"name": "quick", "type": "echo", "models": ["m"]}, {**ECHO, "settings": {"delay_ms": 100, "tokens": 40}}]
        routes = [{"name": "wise", "policy": "learner", "targets": ["quick/m", "slow/m"]}, {"name": "long", "policy": "learner", "targets": ["slow/m", "quick/m"]}]

        def learned(host, route):
            return host.ask("POST", "/api/route/explain", ask_for(route)).json["candidates"][0]["reason"]

        with Folder() as drop, tempfile.TemporaryDirectory() as data:
            config, env = drop.config(*providers, routes=routes), {"PORTOLAN_SERVER__DATA_DIR": data}
            drop.put(FIXTURES / "test_learner.so", "learner.so")
            with Portolan(config, env) as host:
                for _ in range(3):
                    self.assertEqual(host.chat(ask_for("wise")).status, 200)
                wait_until(lambda: learned(host, "wise").count("arm 0=0/") == 3, 10, "learning from three answers")
                streams = [host.stream(ask_for("long", "all is well", stream=True)) for _ in range(10)]
                self.assertTrue(all(s.head() == 200 for s in streams))
                for n in (1, 2, 3):
                    before = rows(host)["learner.so"]["hash"]
                    drop.put(FIXTURES / "test_learner.so", "learner.so", in_place=n == 2)
                    two_seconds(lambda: rows(host)["learner.so"]["hash"] != before, "replacing a policy")
                    self.assertEqual(host.chat(ask_for("wise")).status, 200)
                    wait_until(lambda: learned(host, "wise").count("arm 0=0/") == 3 + n, 10, "learning on")
                    self.assertEqual(learned(host, "wise").count("restored"), n)
                for s in streams:
                    self.assertEqual(len(text_of(s.read_all()).split()), 40)
                    self.assertTrue(s.complete)
                    s.close()
                # they were decided by the first version, and the fourth learns from them
                wait_until(lambda: learned(host, "long").count("arm 0=0/40") == 10, 10, "learning from what the version before picked")
                host.wait_for_line('"policy":"learner","policy_state":[1-9]')
                self.assertEqual(host.stop(), 0)
            with Portolan(config, env) as host:
                self.assertEqual(learned(host, "wise").count("arm 0=0/"), 6)
                self.assertEqual(learned(host, "wise").count("restored"), 4)
                self.assertEqual(learned(host, "long").count("arm 0=0/40"), 10)

    def test_requests_finish_while_a_plugin_is_replaced_a_hundred_times(self):
        with Folder() as drop:
            drop.put(SHIPPED / "echo.so", "echo.so")
            fast = {"name": "fast", "type": "echo", "models": ["m"]}
            with Portolan(drop.config(fast)) as host:
                wrong, done, stop = [], [0], threading.Event()

                def ask():
                    while not stop.is_set():
                        reply = host.chat(ask_for("fast/m", "hello there"))
                        done[0] += 1
                        if reply.status != 200 or reply.json["choices"][0]["message"]["content"] != "hello there":
                            wrong.append(reply)

                threads = [threading.Thread(target=ask) for _ in range(4)]
                for t in threads:
                    t.start()
                generations = set()
                for i in range(100):
                    drop.put(SHIPPED / "echo.so", "echo.so", in_place=i % 2 == 1)
                    host.ask("POST", "/api/plugins/reload", {}) if i % 5 == 0 else time.sleep(0.02)
                    generations.add(rows(host)["echo.so"]["hash"])
                stop.set()
                for t in threads:
                    t.join()
                self.assertEqual(wrong, [])
                self.assertGreater(done[0], 100)
                self.assertGreater(len(generations), 15)
                fds = len(os.listdir(f"/proc/{host.process.pid}/fd"))
                self.assertLess(fds, 60)
                copies = [d for d in (host.folder / "data" / "plugins").iterdir() if d.is_dir() and any(f.name == "echo.so" for f in d.iterdir())]
                self.assertLessEqual(len(copies), 4)


class Crashes(unittest.TestCase):
    def test_a_crash_names_the_plugin_then_probation_then_quarantine_then_a_new_chance(self):
        bad = {"name": "bad", "type": "faulty", "models": ["m"], "settings": {"mode": "segfault"}}
        good = {"name": "good", "type": "echo", "models": ["m"]}
        with Folder() as drop, tempfile.TemporaryDirectory() as data:
            drop.put(FIXTURES / "test_faulty.so", "faulty.so")
            config, env = drop.config(bad, good), {"PORTOLAN_SERVER__DATA_DIR": data}
            for i in range(2):
                host = Portolan(config, env)
                self.assertEqual(rows(host)["faulty.so"]["state"], "serving")
                if i == 1:
                    self.assertIn("on probation", rows(host)["faulty.so"]["error"])
                with self.assertRaises(OSError):
                    host.chat(ask_for("bad/m"))
                self.assertEqual(host.exit_code(), -signal.SIGSEGV)
                self.assertRegex(host.output(), r"FATAL: plugin test\.faulty \([0-9a-f]{12}\) ended the process in step\(\): signal 11")
                host.stop()
            with Portolan(config, env) as host:
                row = rows(host)["faulty.so"]
                self.assertEqual(row["state"], "refused")
                self.assertIn("in quarantine", row["error"])
                self.assertNotEqual(host.chat(ask_for("bad/m")).status, 200)
                self.assertEqual(host.chat(ask_for("good/m")).status, 200)
                drop.put(FIXTURES / "test_faulty.so", "faulty.so")
                two_seconds(lambda: rows(host)["faulty.so"]["state"] == "serving", "a new chance")

    def test_a_safe_start_leaves_out_what_is_not_shipped(self):
        new = {"name": "new", "type": "faulty", "models": ["m"]}
        with Folder() as drop:
            drop.put(FIXTURES / "test_faulty.so", "faulty.so")
            with Portolan(drop.config(new, {"name": "good", "type": "echo", "models": ["m"]}), arguments=["--safe-start"]) as host:
                self.assertNotIn("faulty.so", rows(host))
                self.assertEqual(host.chat(ask_for("good/m")).status, 200)
                self.assertNotEqual(host.chat(ask_for("new/m")).status, 200)

    def test_a_plugin_that_keeps_failing_is_benched_and_the_next_candidate_answers(self):
        bad = {"name": "bad", "type": "faulty", "models": ["m"], "settings": {"mode": "garbage"}}
        good = {"name": "good", "type": "echo", "models": ["m"]}
        with Folder() as drop:
            drop.put(FIXTURES / "test_faulty.so", "faulty.so")
            with Portolan(drop.config(bad, good)) as host:
                for _ in range(8):
                    reply = host.chat(ask_for("m"))
                    self.assertEqual(reply.status, 200, reply)
                    self.assertEqual(reply.json["choices"][0]["message"]["content"], "hello")
                self.assertEqual(rows(host)["faulty.so"]["state"], "benched")
                host.wait_for_line("test.faulty is benched")
                calls = rows(host)["faulty.so"]["calls"]
                self.assertEqual(calls["failed"], 5)
                self.assertGreaterEqual(calls["benched"], 3)
                self.assertRegex(host.get("/metrics").body.decode(), r'portolan_plugin_calls_total\{plugin="test.faulty",result="error"\} 5')


class Isolation(unittest.TestCase):
    FAULTS = ("throw", "abort", "segfault", "loop", "sleep", "leak", "exit", "overflow", "garbage", "race")

    def test_the_host_and_its_streams_survive_whatever_an_isolated_plugin_does(self):
        limits = {"isolation": {"faulty.so": "process", "alien.so": "process"}, "isolated": {"memory_mb": 128, "call_ms": 1500}}
        faulty = [{"name": mode, "type": "faulty", "models": [mode], "settings": {"mode": mode}} for mode in self.FAULTS]
        good = {"name": "good", "type": "echo", "models": list(self.FAULTS)}
        with Folder() as drop:
            drop.put(FIXTURES / "test_faulty.so", "faulty.so")
            drop.put(FIXTURES / "test_wrong_draft.so", "alien.so")  # the eleventh: a plugin of another interface
            with Portolan(drop.config(*faulty, good, ECHO, plugins=limits)) as host:
                self.assertEqual((rows(host)["faulty.so"]["state"], rows(host)["faulty.so"]["isolation"]), ("serving", "process"))
                self.assertIn("built for draft", rows(host)["alien.so"]["error"])
                streams = [host.stream(ask_for("slow/m", "all is well", stream=True)) for _ in range(20)]
                self.assertTrue(all(s.head() == 200 for s in streams))
                slowest = [0.0]
                stop = threading.Event()

                def others():  # while a call hangs or dies nobody else waits
                    while not stop.is_set():
                        began = time.monotonic()
                        assert host.chat(ask_for("good/throw")).status == 200
                        slowest[0] = max(slowest[0], time.monotonic() - began)
                        time.sleep(0.02)

                thread = threading.Thread(target=others)
                thread.start()
                for mode in self.FAULTS:
                    reply = host.chat(ask_for(mode))  # the next candidate answers in its place
                    self.assertEqual(reply.status, 200, (mode, reply))
                    wait_until(lambda: "survived" in host.chat(ask_for("race/race")).body.decode(), 15, f"the process after {mode}")
                stop.set()
                thread.join()
                self.assertGreaterEqual(rows(host)["faulty.so"]["restarts"], 8)
                self.assertLess(slowest[0], 1.2 * SLOWNESS)
                for s in streams:
                    self.assertEqual(len(text_of(s.read_all()).split()), 80)
                    self.assertTrue(s.complete)
                    s.close()
                self.assertIsNone(host.process.poll())

    def test_providers_and_policies_serve_from_processes_of_their_own(self):
        everything = {"isolation": {"*": "process"}, "dirs": [], "trust": "any"}
        with Folder() as drop:
            for name in ("echo.so", "priority.so", "cheapest.so"):
                drop.put(SHIPPED / name, name)
            config = settings({"name": "one", "type": "echo", "models": ["m"]}, plugins={**everything, "dirs": [str(drop.path)]})
            with Portolan(config) as host:
                self.assertTrue(all(r["isolation"] == "process" for r in rows(host).values()))
                self.assertEqual(host.chat(ask_for("auto", "hello there")).json["choices"][0]["message"]["content"], "hello there")
                stream = host.stream(ask_for("one/m", "one two three", stream=True))
                self.assertEqual(text_of(stream.read_all()), "one two three")
                stream.close()
                theirs = [p for p in os.listdir("/proc") if p.isdigit() and parent_of(p) == host.process.pid]
                self.assertEqual(len(theirs), 3)
                host.process.kill()  # nobody is left behind, however the host ended
                host.process.wait()
                wait_until(lambda: not any(os.path.exists(f"/proc/{p}") and parent_of(p) for p in theirs), 5, "the end of the plugins' processes")


if __name__ == "__main__":
    run_tests()
