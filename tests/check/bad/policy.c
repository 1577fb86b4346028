/* A policy that keeps every rule: the operator's order. With BREAK_<something> defined, one that breaks one of them. */
#include <portolan/abi.h>

#include <stdlib.h>
#include <string.h>
#ifdef BREAK_CLOCK
#include <time.h>
#endif

#define S(lit) ((portolan_str){lit, sizeof(lit) - 1})
static const char manifest[] __attribute__((section(".portolan.manifest"), used)) =
    "{\"id\":\"test.policy\",\"version\":\"1\",\"components\":{\"p\":{\"kind\":\"portolan.policy/1\",\"title\":\"Test\","
    "\"config\":{\"type\":\"object\",\"properties\":{}}}}}";

static void pick(const portolan_call* c, const portolan_ranking* out, size_t index)
{
    const portolan_pick p = {sizeof p, 0, index, 0.0, 0.0 / 0.0, S("as the operator wrote them"), {NULL, 0}};
    out->pick(c->id, &p);
}

static portolan_status decide(void* self, const portolan_call* c, const portolan_snapshot* s, const portolan_ranking* out)
{
    size_t first = 0;
    (void)self;
#ifdef BREAK_COUNTER
    first = s->candidate_count ? (*(size_t*)self)++ % s->candidate_count : 0;
#elif defined BREAK_ADDRESS /* the same in one instance, something else in the next */
    first = s->candidate_count ? (size_t)self / 16 % s->candidate_count : 0;
#elif defined BREAK_BUDGET
    for (volatile long i = 0; i < 100 * 1000 * 1000; ++i) {
    }
#elif defined BREAK_CLOCK
    first = s->candidate_count && time(NULL) == 4711;
#elif defined BREAK_ABORT
    if (s->candidate_count == 0) abort();
#endif
    for (size_t i = 0; i < s->candidate_count; ++i) pick(c, out, (first + i) % s->candidate_count);
#ifdef BREAK_INDEX_RANGE
    pick(c, out, s->candidate_count);
#elif defined BREAK_INDEX_TWICE
    if (s->candidate_count) pick(c, out, 0);
#endif
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
    *self = calloc(1, sizeof(size_t));
    return *self ? PORTOLAN_OK : PORTOLAN_E_INTERNAL;
}

static void destroy(portolan_str component, void* self)
{
    (void)component;
    free(self);
}

const portolan_plugin* PORTOLAN_ENTRY(void)
{
    static const portolan_plugin p = {sizeof p, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, find, create, destroy};
    return &p;
}
