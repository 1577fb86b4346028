// The other side: a process that holds one plugin and answers calls into it.
#pragma once

namespace plugin::isolation {

/// main() of portolan-plugin-host: FILE MEMORY_MB THREADS PARENT_PID. Sockets are descriptors 3, 4, ... The exit code.
int serve(int argc, char** argv);

} // namespace plugin::isolation
