// Asks a provider which models it has, through its plugin.
#pragma once

#include "config/catalog.h"
#include "config/config.h"
#include "core/clock.h"
#include "upstream/endpoint.h"
#include "wire/client.h"

#include <memory>
#include <string>
#include <vector>

/// Fills in what the upstream did not say from the catalogue's entry of the same name, at whoever made the model; a name's
/// "vendor/" in front and ":variant" behind are left aside where the whole name is not there.
void complete_from(const config::ModelCatalog& catalog, std::vector<config::ModelFacts>& models);

/// On a loop. `keep`: whatever owns `endpoint`. Fails with what the attempt failed with, or BadReply for a reply that is no list.
wire::Task<core::Result<std::vector<config::ModelFacts>>> discover_models(std::shared_ptr<const void> keep, const upstream::Endpoint& endpoint,
                                                                          wire::ClientPool& pool, const core::Clock& clock);
