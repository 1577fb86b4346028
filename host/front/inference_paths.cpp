#include "front/inference_paths.h"

#include <array>
#include <string>

namespace front {

namespace {

using core::Op;

struct Row {
    std::string_view tail; ///< of the path, behind what says where it begins
    const dialect::Dialect& (*dialect)();
    Op op = Op::Chat;
};

constexpr std::array rows{
    Row{"/chat/completions", dialect::openai_chat},
    Row{"/responses", dialect::openai_responses},
    Row{"/responses/input_tokens", dialect::openai_responses, Op::CountTokens},
    Row{"/messages", dialect::anthropic_messages},
    Row{"/messages/count_tokens", dialect::anthropic_messages, Op::CountTokens},
    Row{"/completions", dialect::openai_completions, Op::Completions},
    Row{"/embeddings", dialect::openai_embeddings, Op::Embeddings},
    Row{"/moderations", dialect::openai_moderations, Op::Moderations},
    Row{"/rerank", dialect::openai_rerank, Op::Rerank},
    Row{"/images/generations", dialect::openai_images, Op::ImageGenerate},
    Row{"/images/edits", dialect::openai_image_edits, Op::ImageEdit},
    Row{"/audio/transcriptions", dialect::openai_transcriptions, Op::Transcribe},
    Row{"/audio/translations", dialect::openai_translations, Op::Transcribe},
    Row{"/audio/speech", dialect::openai_speech, Op::Speech},
};

constexpr std::string_view root = "/v1", pinned = "/v1/providers/";

struct Labels {
    std::string plain, pinned;
};

const Labels& labels_of(std::size_t row)
{
    static const auto all = [] {
        std::array<Labels, rows.size()> made;
        for (std::size_t i = 0; i < rows.size(); ++i) made[i] = {std::string(root).append(rows[i].tail), std::string(pinned).append("{p}").append(rows[i].tail)};
        return made;
    }();
    return all[row];
}

} // namespace

std::optional<InferencePath> inference_path(std::string_view path)
{
    if (!path.starts_with(root)) return std::nullopt;
    std::string_view provider, tail = path.substr(root.size());
    if (path.starts_with(pinned)) {
        const auto end = path.find('/', pinned.size());
        if (end == path.npos || end == pinned.size()) return std::nullopt;
        provider = path.substr(pinned.size(), end - pinned.size());
        tail = path.substr(end);
    }
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (rows[i].tail == tail)
            return InferencePath{&rows[i].dialect(), rows[i].op, provider, provider.empty() ? labels_of(i).plain : labels_of(i).pinned};
    return std::nullopt;
}

} // namespace front
