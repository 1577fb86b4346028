/* A policy. decide() is a pure function: an equal snapshot, seed and configuration give an equal order. */
#include <portolan/abi.h>
#include <string.h>

#define S(lit) ((portolan_str){lit, sizeof(lit) - 1})
static const char manifest[] __attribute__((section(".portolan.manifest"), used)) =
    "{\"id\":\"my.@COMPONENT@\",\"version\":\"0.1.0\",\"components\":{\"@COMPONENT@\":{"
    "\"kind\":\"portolan.policy/1\",\"title\":\"@CLASS@\",\"config\":{\"type\":\"object\",\"properties\":{}}}}}";

static void pick_all(const portolan_call* c, const portolan_snapshot* s, const portolan_ranking* out, int well, portolan_str why)
{
    for (size_t i = 0; i < s->candidate_count; ++i) {
        const int healthy = !(s->candidates[i]->flags & (PORTOLAN_CAND_COOLING | PORTOLAN_CAND_OVER_LIMIT));
        const portolan_pick p = {sizeof p, 0, i, (double)well, 0.0 / 0.0, why, {NULL, 0}};
        if (healthy == well) out->pick(c->id, &p);
    }
}

static portolan_status decide(void* self, const portolan_call* c, const portolan_snapshot* s, const portolan_ranking* out)
{
    (void)self;
    pick_all(c, s, out, 1, S("healthy"));
    pick_all(c, s, out, 0, S("a last resort"));
    return PORTOLAN_OK;
}

static const portolan_policy policy = {sizeof policy, 0, decide, NULL, NULL};

static const void* find(portolan_str component, portolan_str face)
{
    (void)component; /* there is only one */
    return face.size == sizeof(PORTOLAN_POLICY) - 1 && !memcmp(face.data, PORTOLAN_POLICY, face.size) ? &policy : NULL;
}

static portolan_status create(const portolan_call* c, portolan_str component, portolan_str config, void** self)
{
    (void)c, (void)component, (void)config; /* no settings, so no instance */
    *self = NULL;
    return PORTOLAN_OK;
}

static void destroy(portolan_str component, void* self) { (void)component, (void)self; }

const portolan_plugin* PORTOLAN_ENTRY(void)
{
    static const portolan_plugin p = {sizeof p, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, find, create, destroy};
    return &p;
}
