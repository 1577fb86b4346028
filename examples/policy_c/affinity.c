/* Stickiness in C: the candidate that served last, then rendezvous hashing, so that all hosts agree without talking.
 * No runtime, no allocation. */
#include <portolan/abi.h>
#include <string.h>

#define S(lit) ((portolan_str){lit, sizeof(lit) - 1})
static const char manifest[] __attribute__((section(".portolan.manifest"), used)) =
    "{\"id\":\"acme.affinity\",\"version\":\"0.1.0\",\"components\":{\"affinity\":{"
    "\"kind\":\"portolan.policy/1\",\"title\":\"Affinity\",\"config\":{\"type\":\"object\"}}}}";

enum { MOST = 256 };

static uint64_t hash(portolan_str s, uint64_t h)
{
    for (size_t i = 0; i < s.size; ++i) h = (h ^ (unsigned char)s.data[i]) * 0x100000001b3u;
    return h ^ (h >> 29);
}

static void pick(const portolan_call* c, const portolan_ranking* out, size_t index, portolan_str why)
{
    const portolan_pick p = {sizeof p, 0, index, 0.0, 0.0 / 0.0, why, {NULL, 0}};
    out->pick(c->id, &p);
}

static portolan_status decide(void* self, const portolan_call* c, const portolan_snapshot* s,
                              const portolan_ranking* out)
{
    uint64_t weight[MOST];
    const size_t n = s->candidate_count < MOST ? s->candidate_count : MOST;
    const uint64_t who = hash(s->affinity, 0xcbf29ce484222325u);
    size_t last = n;
    (void)self;
    if (s->affinity_candidate >= 0 && (size_t)s->affinity_candidate < n) {
        last = (size_t)s->affinity_candidate;
        if (s->candidates[last]->flags & PORTOLAN_CAND_COOLING)
            last = n;
        else
            pick(c, out, last, S("served it last, its cache is warm"));
    }
    for (size_t i = 0; i < n; ++i) weight[i] = i == last ? 0 : hash(s->candidates[i]->id, who) | 1;
    for (size_t k = last < n; k < n; ++k) {
        size_t best = 0;
        for (size_t i = 1; i < n; ++i)
            if (weight[i] > weight[best]) best = i;
        weight[best] = 0;
        pick(c, out, best, S("rendezvous"));
    }
    return PORTOLAN_OK;
}

static const portolan_policy policy = {sizeof policy, 0, decide, NULL, NULL};

static const void* find(portolan_str component, portolan_str face)
{
    (void)component;
    return face.size == sizeof(PORTOLAN_POLICY) - 1 && !memcmp(face.data, PORTOLAN_POLICY, face.size) ? &policy : NULL;
}

static portolan_status create(const portolan_call* c, portolan_str component, portolan_str config, void** self)
{
    (void)c, (void)component, (void)config;
    *self = NULL;
    return PORTOLAN_OK;
}

static void destroy(portolan_str component, void* self) { (void)component, (void)self; }

const portolan_plugin* PORTOLAN_ENTRY(void)
{
    static const portolan_plugin p = {sizeof p, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, find, create, destroy};
    return &p;
}
