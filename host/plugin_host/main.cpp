// portolan-plugin-host: the process of a plugin that is isolated. Started by the host, by nobody else.
#include "plugin/isolated_server.h"

int main(int argc, char** argv) { return plugin::isolation::serve(argc, argv); }
