#!/usr/bin/env python3
"""Keys that are no bearer tokens, through the real binary: signatures checked the way AWS does, tokens from a token service on loopback."""

import base64
import hashlib
import hmac
import json
import signal
import tempfile
import threading
import time
import unittest
import urllib.parse

from harness import ROOT, Portolan, Upstream, answer, ask_for, provider, run_tests, settings, wait_until

AWS_ID, AWS_SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1"
MODEL = "amazon.nova-lite-v1:0"
CONVERSED = {"output": {"message": {"role": "assistant", "content": [{"text": "signed"}]}}, "stopReason": "end_turn",
             "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}
GENERATED = {"candidates": [{"content": {"role": "model", "parts": [{"text": "generated"}]}, "finishReason": "STOP"}],
             "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}}


def published_key():
    """The RSA key of RFC 7515 appendix A.2 as PEM, and its modulus."""
    lines = (ROOT / "tests" / "upstream" / "rfc7515_key.h").read_text().splitlines()
    pem = "".join(line.strip().rstrip(";").strip('"').replace("\\n", "\n") for line in lines if line.startswith("    "))
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    at = der.index(b"\x02\x82\x01\x01\x00")  # the first INTEGER of 257 bytes: the modulus
    return pem, int.from_bytes(der[at + 4:at + 261], "big")


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signature_is_good(call, host, session=None, secret=AWS_SECRET):
    """As docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html says, written independently of the host's."""
    scheme, rest = call.headers["authorization"].split(" ", 1)
    fields = dict(x.strip().split("=", 1) for x in rest.split(","))
    access, day, region, service, end = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    path, _, query = call.path.partition("?")
    assert scheme == "AWS4-HMAC-SHA256" and (access, region, service, end) == (AWS_ID, REGION, "bedrock", "aws4_request"), fields
    assert call.headers["host"] == host and "host" in names and ("content-type" in names) == bool(call.body), names
    assert call.headers.get("x-amz-security-token") == session and call.headers["x-amz-date"].startswith(day)
    assert abs(time.time() - time.mktime(time.strptime(call.headers["x-amz-date"] + " UTC", "%Y%m%dT%H%M%SZ %Z")) + time.timezone) < 60
    canonical = "\n".join([call.method, urllib.parse.quote(path, safe="/-_.~"), "&".join(sorted(query.split("&"))), *(f"{n}:{call.headers[n]}" for n in names), "",
                           ";".join(names), hashlib.sha256(call.body).hexdigest()])
    text = "\n".join([scheme, call.headers["x-amz-date"], f"{day}/{region}/{service}/{end}", hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for step in (day, region, service, end):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex() == fields["Signature"]


class Signed(unittest.TestCase):
    def setUp(self):
        self.calls = []
        self.upstream = Upstream(self.serve)
        self.root = self.upstream.base.removesuffix("/v1")

    def tearDown(self):
        self.upstream.close()
        self.assertEqual(self.upstream.failures, [])

    def serve(self, call):
        if call.method == "GET":  # the host looks for models on its own
            return call.reply(404, {"message": "no list here"})
        self.calls.append(call)
        call.reply(200, CONVERSED)

    def bedrock(self, key, **more):
        return {"name": "aws", "type": "bedrock", "base_url": self.root, "api_key": key, "settings": {"region": REGION}, "models": "any", **more}

    def test_a_request_to_bedrock_carries_a_signature_that_holds(self):
        with Portolan(settings(self.bedrock(f"{AWS_ID}:{AWS_SECRET}"))) as host:
            reply = host.chat(ask_for(f"aws/{MODEL}"))
        self.assertEqual(reply.json["choices"][0]["message"]["content"], "signed")
        self.assertIn("%3A0/converse", self.calls[0].path)  # encoded once more in what is signed: trap 81
        self.assertTrue(signature_is_good(self.calls[0], f"127.0.0.1:{self.upstream.port}"))
        self.assertFalse(signature_is_good(self.calls[0], f"127.0.0.1:{self.upstream.port}", secret="another"))

    def test_a_sessions_token_and_a_body_of_megabytes_are_signed_too(self):
        with Portolan(settings(self.bedrock(f"{AWS_ID}:{AWS_SECRET}:SESSION/TOKEN=="))) as host:
            reply = host.chat(ask_for(f"aws/{MODEL}", "long " * 500_000))
        self.assertEqual(reply.status, 200)
        self.assertGreater(len(self.calls[0].body), 2_000_000)
        self.assertTrue(signature_is_good(self.calls[0], f"127.0.0.1:{self.upstream.port}", session="SESSION/TOKEN=="))

    def test_the_usual_variables_make_bedrock_live_and_sign_for_their_region(self):
        variables = {"AWS_ACCESS_KEY_ID": AWS_ID, "AWS_SECRET_ACCESS_KEY": AWS_SECRET, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.root}
        with Portolan(env=variables) as host:
            reply = host.chat(ask_for(f"bedrock/{MODEL}"))
        self.assertEqual(reply.status, 200, reply)
        self.assertTrue(signature_is_good(self.calls[0], f"127.0.0.1:{self.upstream.port}"))

    def test_the_models_of_an_account_are_listed_with_two_signed_questions(self):
        models = {"modelSummaries": [{"modelId": "amazon.nova-lite-v1:0", "inferenceTypesSupported": ["ON_DEMAND"], "modelLifecycle": {"status": "ACTIVE"}},
                                     {"modelId": "anthropic.claude-new", "inferenceTypesSupported": ["INFERENCE_PROFILE"], "modelLifecycle": {"status": "ACTIVE"}},
                                     {"modelId": "amazon.titan-old", "inferenceTypesSupported": ["ON_DEMAND"], "modelLifecycle": {"status": "LEGACY"}}]}
        profiles = {"inferenceProfileSummaries": [{"inferenceProfileId": "eu.anthropic.claude-new", "status": "ACTIVE"}]}
        good = []

        def serve(call):
            good.append(signature_is_good(call, f"127.0.0.1:{self.upstream.port}"))
            call.reply(200, models if call.path.startswith("/foundation-models") else profiles)

        self.upstream.handler, self.upstream.lists = serve, True
        with Portolan(settings(self.bedrock(f"{AWS_ID}:{AWS_SECRET}", models="discover"))) as host:
            listed = wait_until(lambda: {m["id"] for m in host.get("/v1/models").json["data"]} & {"eu.anthropic.claude-new"} and
                                {m["id"] for m in host.get("/v1/models").json["data"] if m["owned_by"] == "aws"}, 10, "the list")
        self.assertEqual(listed, {"amazon.nova-lite-v1:0", "eu.anthropic.claude-new"})
        self.assertEqual(good, [True, True])

    def test_a_bedrock_api_key_goes_as_it_is(self):
        with Portolan(settings(self.bedrock("ABSKexample"))) as host:
            host.chat(ask_for(f"aws/{MODEL}"))
        self.assertEqual(self.calls[0].headers["authorization"], "Bearer ABSKexample")
        self.assertNotIn("x-amz-date", self.calls[0].headers)


class Exchanged(unittest.TestCase):
    """Tokens t0, t1, ... of a token service; the upstream takes those in `good`, or any."""

    def setUp(self):
        self.lock = threading.Lock()
        self.asked, self.calls, self.good = [], [], None
        self.hold = threading.Event()
        self.hold.set()
        self.refusal = None
        self.tokens = Upstream(self.give_token)
        self.upstream = Upstream(self.serve)
        self.root = self.upstream.base.removesuffix("/v1")
        self.token_root = self.tokens.base.removesuffix("/v1")
        self.pem, self.modulus = published_key()

    def tearDown(self):
        self.hold.set()
        self.tokens.close()
        self.upstream.close()
        self.assertEqual(self.tokens.failures + self.upstream.failures, [])

    def give_token(self, call):
        with self.lock:
            number = len(self.asked)
            self.asked.append(call)
        self.hold.wait(20)
        if self.refusal:
            return call.reply(*self.refusal)
        call.reply(200, {"access_token": f"t{number}", "expires_in": 3600, "token_type": "Bearer"})

    def serve(self, call):
        with self.lock:
            self.calls.append(call)
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if self.good is not None and token not in self.good:
            return call.reply(401, {"error": {"code": 401, "message": "Request had invalid authentication credentials.", "status": "UNAUTHENTICATED"}})
        call.reply(200, GENERATED if ":generateContent" in call.path else answer())

    def account(self):
        return {"type": "service_account", "project_id": "mine", "private_key_id": "k1", "private_key": self.pem, "client_email": "robot@mine.iam",
                "token_uri": self.token_root + "/token"}

    def vertex(self, **more):
        return {"name": "google", "type": "vertex", "base_url": self.root, "api_key": json.dumps(self.account()), "models": "any", **more}

    def azure(self, key="app:se cret", **more):
        return {"name": "azure", "type": "azure-openai", "base_url": self.root, "api_key_env": "ENTRA_APP", "models": "any",
                "settings": {"tenant": "my-tenant", "authority": self.token_root}, **more}

    def test_a_service_accounts_key_is_exchanged_for_a_token_by_a_signed_assertion(self):
        with Portolan(settings(self.vertex())) as host:
            for _ in range(2):
                reply = host.chat(ask_for("google/gemini-2.5-flash"))
                self.assertEqual(reply.json["choices"][0]["message"]["content"], "generated", reply)
            log = host.output()
        self.assertEqual(self.calls[0].path, "/v1/projects/mine/locations/global/publishers/google/models/gemini-2.5-flash:generateContent")
        self.assertEqual([c.headers["authorization"] for c in self.calls], ["Bearer t0"] * 2)
        self.assertEqual(len(self.asked), 1)
        form = dict(urllib.parse.parse_qsl(self.asked[0].body.decode()))
        self.assertEqual(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer")
        head, claims, signature = form["assertion"].split(".")
        self.assertEqual(json.loads(decoded(head)), {"alg": "RS256", "typ": "JWT", "kid": "k1"})
        said = json.loads(decoded(claims))
        self.assertEqual((said["iss"], said["scope"], said["aud"]),
                         ("robot@mine.iam", "https://www.googleapis.com/auth/cloud-platform", self.token_root + "/token"))
        self.assertEqual(said["exp"] - said["iat"], 3600)
        self.assertLess(abs(said["iat"] - time.time()), 60)
        block = pow(int.from_bytes(decoded(signature), "big"), 65537, self.modulus).to_bytes(256, "big")  # RFC 8017 section 8.2.2
        digest = hashlib.sha256(f"{head}.{claims}".encode()).digest()
        self.assertEqual(block, b"\0\1" + b"\xff" * 202 + b"\0" + bytes.fromhex("3031300d060960864801650304020105000420") + digest)
        for secret in ("PRIVATE KEY", "t0\"", form["assertion"]):
            self.assertNotIn(secret, log)

    def test_a_key_file_named_by_the_usual_variable_makes_vertex_live(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.account(), file, indent=2)
            file.flush()
            config = settings(env_providers="always")
            with Portolan(config, env={"GOOGLE_APPLICATION_CREDENTIALS": file.name}) as host:
                listed = host.get("/v1/models").json["data"]
        self.assertTrue(any(m["owned_by"] == "vertex" for m in listed), listed[:5])

    def test_an_application_of_entra_gets_a_token_of_its_tenant_once_for_many(self):
        self.hold.clear()
        with Portolan(settings(self.azure()), env={"ENTRA_APP": "app:se/cret~"}) as host:
            replies = []
            threads = [threading.Thread(target=lambda: replies.append(host.chat(ask_for("azure/my-deployment")))) for _ in range(24)]
            for t in threads:
                t.start()
            wait_until(lambda: self.asked, 10, "the exchange")
            self.hold.set()
            for t in threads:
                t.join()
        self.assertEqual([r.status for r in replies], [200] * 24)
        self.assertEqual(len(self.asked), 1)
        self.assertEqual(self.asked[0].path, "/my-tenant/oauth2/v2.0/token")
        self.assertEqual(dict(urllib.parse.parse_qsl(self.asked[0].body.decode())),
                         {"grant_type": "client_credentials", "client_id": "app", "client_secret": "se/cret~", "scope": "https://cognitiveservices.azure.com/.default"})
        self.assertEqual({c.headers["authorization"] for c in self.calls}, {"Bearer t0"})
        self.assertTrue(all("api-key" not in c.headers for c in self.calls))

    def test_an_api_key_of_azure_goes_in_its_header_even_where_a_tenant_is_known(self):
        with Portolan(settings(self.azure()), env={"ENTRA_APP": "0123456789abcdef"}) as host:
            self.assertEqual(host.chat(ask_for("azure/d")).status, 200)
        self.assertEqual(self.calls[0].headers["api-key"], "0123456789abcdef")
        self.assertEqual(self.asked, [])

    def test_a_token_that_ends_before_its_time_is_renewed_without_the_client_noticing(self):
        with Portolan(settings(self.azure()), env={"ENTRA_APP": "app:secret"}) as host:
            self.assertEqual(host.chat(ask_for("azure/d")).status, 200)
            self.good = {"t1"}
            self.assertEqual(host.chat(ask_for("azure/d")).status, 200)
            self.assertEqual(host.chat(ask_for("azure/d")).status, 200)
        self.assertEqual([c.headers["authorization"] for c in self.calls], ["Bearer t0", "Bearer t0", "Bearer t1", "Bearer t1"])
        self.assertEqual(len(self.asked), 2)

    def test_a_token_that_is_refused_when_it_is_new_is_not_asked_for_again_and_again(self):
        self.good = set()
        with Portolan(settings(self.azure()), env={"ENTRA_APP": "app:secret"}) as host:
            self.assertEqual(host.chat(ask_for("azure/d")).status, 503)
        self.assertEqual((len(self.asked), len(self.calls)), (1, 1))

    def test_a_refusal_of_the_token_service_is_the_accounts_fault_and_the_next_one_serves(self):
        self.refusal = (401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
        spare = provider(self.upstream.base, name="spare")
        with Portolan(settings(self.azure(), spare, routes=[{"name": "both", "policy": "priority", "targets": ["azure/d", "spare/d"]}]),
                      env={"ENTRA_APP": "app:secret"}) as host:
            alone = host.chat(ask_for("azure/other"))
            self.assertEqual(alone.status, 503)
            self.assertIn("AADSTS7000215", alone.body.decode())
            self.assertEqual(host.chat(ask_for("both")).status, 200)
        self.assertEqual([c.headers["authorization"] for c in self.calls], ["Bearer sk-test-upstream"])

    def test_while_a_token_service_is_silent_everything_else_is_served(self):
        self.hold.clear()
        with Portolan(settings(self.azure(), provider(self.upstream.base, name="other"), server={"loops": 1}), env={"ENTRA_APP": "app:secret"}) as host:
            waiting = threading.Thread(target=lambda: host.chat(ask_for("azure/d")))
            waiting.start()
            wait_until(lambda: self.asked, 10, "the exchange")
            for _ in range(20):
                self.assertEqual(host.chat(ask_for("other/m")).status, 200)
            self.hold.set()
            waiting.join()
        self.assertEqual(self.calls[-1].headers["authorization"], "Bearer t0")

    def test_tokens_outlive_a_reload_that_leaves_their_account_alone(self):
        config = settings(self.azure())
        with Portolan(config, env={"ENTRA_APP": "app:secret"}) as host:
            self.assertEqual(host.chat(ask_for("azure/d")).status, 200)
            host.write_config({**config, "routes": [{"name": "another", "targets": ["azure/d"]}]})
            host.signal(signal.SIGHUP)
            wait_until(lambda: host.chat(ask_for("another")).status == 200, 10, "the reload")
            self.assertEqual(host.chat(ask_for("azure/d")).status, 200)
        self.assertEqual(len(self.asked), 1)


if __name__ == "__main__":
    run_tests()
