/* Breaks R1 and R10, so that the audit has something to find. Never run. */
#include <portolan/abi.h>

#include <sys/socket.h>

static const char manifest[] __attribute__((section(".portolan.manifest"), used)) =
    "{\"id\":\"test.breaks-rules\",\"version\":\"0\",\"components\":{\"p\":{\"kind\":\"portolan.policy/1\",\"config\":{}}}}";

PORTOLAN_EXPORT int a_second_export(void);
int a_second_export(void) { return socket(AF_INET, SOCK_STREAM, 0); }

const portolan_plugin *PORTOLAN_ENTRY(void)
{
    static const portolan_plugin p = {sizeof p, PORTOLAN_DRAFT, {manifest, sizeof manifest - 1}, NULL, NULL, NULL};
    return &p;
}
