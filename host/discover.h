// Asks a provider which models it has, through its plugin.
#pragma once

#include "config/config.h"
#include "core/clock.h"
#include "upstream/endpoint.h"
#include "wire/client.h"

#include <memory>
#include <string>
#include <vector>

/// On a loop. `keep`: whatever owns `endpoint`. Fails with what the attempt failed with, or BadReply for a reply that is no list.
wire::Task<core::Result<std::vector<config::ModelFacts>>> discover_models(std::shared_ptr<const void> keep, const upstream::Endpoint& endpoint,
                                                                          wire::ClientPool& pool, const core::Clock& clock);
