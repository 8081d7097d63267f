#include "learner/forward.h"

#include <ATen/ATen.h>

#include <numeric>

#include "absl/functional/function_ref.h"
#include "base/status.h"

namespace ponder::learner {
namespace {

using PackForward = absl::FunctionRef<absl::StatusOr<at::Tensor>(const SequencePack&)>;

absl::StatusOr<std::vector<float>> ForwardAll(int64_t max_tokens, const PolicyBatch& batch,
                                              const Mesh& mesh, PackForward forward) {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> all(static_cast<size_t>(batch.sequences()));
  std::iota(all.begin(), all.end(), int64_t{0});
  const std::vector<MicroBatches> split = SplitBatch(batch, all, mesh.world->size(), max_tokens);
  std::vector<float> values(batch.tokens.size(), 0.f);
  for (const std::vector<int64_t>& sequences : split[mesh.world->rank()]) {
    const SequencePack pack = PackSequences(batch, sequences);
    PONDER_ASSIGN_OR_RETURN(const at::Tensor out, forward(pack));
    const float* of_pack = out.data_ptr<float>();
    for (size_t i = 0; i < pack.places.size(); ++i) values[pack.places[i]] = of_pack[i];
  }
  // Every token is another rank's zero, or ours.
  PONDER_RETURN_IF_ERROR(mesh.world->AllReduceSum(absl::MakeSpan(values)));
  return values;
}

}  // namespace

moe::PackedBatch PackedOf(const SequencePack& pack, bool replay) {
  return {pack.tokens, pack.starts, replay ? pack.routing : std::vector<uint16_t>()};
}

absl::StatusOr<std::vector<float>> ForwardLogprobs(const ForwardOptions& options,
                                                   const PolicyBatch& batch, moe::Decoder& decoder,
                                                   const Mesh& mesh) {
  return ForwardAll(options.max_tokens_per_microbatch, batch, mesh,
                    [&](const SequencePack& pack) -> absl::StatusOr<at::Tensor> {
                      PONDER_ASSIGN_OR_RETURN(
                          const moe::TokenStats out,
                          decoder.Forward(PackedOf(pack, options.replay), pack.rows, pack.targets,
                                          static_cast<float>(options.temperature)));
                      return out.logprob;
                    });
}

absl::StatusOr<std::vector<float>> ForwardValues(const ForwardOptions& options,
                                                 const PolicyBatch& batch, moe::Decoder& decoder,
                                                 const Mesh& mesh) {
  return ForwardAll(options.max_tokens_per_microbatch, batch, mesh, [&](const SequencePack& pack) {
    return decoder.ForwardValues({pack.tokens, pack.starts}, pack.rows);
  });
}

absl::StatusOr<std::vector<float>> ForwardHeadValues(const ForwardOptions& options,
                                                     const PolicyBatch& batch,
                                                     moe::Decoder& decoder, const at::Tensor& head,
                                                     const Mesh& mesh) {
  return ForwardAll(
      options.max_tokens_per_microbatch, batch, mesh,
      [&](const SequencePack& pack) -> absl::StatusOr<at::Tensor> {
        PONDER_ASSIGN_OR_RETURN(
            const at::Tensor hidden,
            decoder.ForwardHidden(PackedOf(pack, options.replay), pack.rows));
        return hidden.mv(head.view(-1));
      });
}

}  // namespace ponder::learner
