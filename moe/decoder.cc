// See decoder.h.
#include "moe/decoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/kernels/optimizer.h"
#include "moe/layers/attention_block.h"
#include "moe/layers/autograd.h"
#include "moe/layers/batch.h"
#include "moe/layers/embedding.h"
#include "moe/layers/expert_exchange.h"
#include "moe/layers/latent_attention_block.h"
#include "moe/layers/lm_head.h"
#include "moe/layers/mlp.h"
#include "moe/layers/moe_block.h"
#include "moe/layers/parameter_store.h"
#include "moe/layers/row_norm.h"
#include "moe/layers/value_head.h"
#include "moe/layers/workspace.h"

namespace ponder::moe {
namespace {

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kFinalNorm[] = "model.norm.weight";
constexpr char kHead[] = "lm_head.weight";

// Runs `body`, which calls LibTorch, and turns what it throws into a status.
template <typename Body>
absl::Status Guarded(absl::string_view what, Body body) {
  try {
    body();
    return absl::OkStatus();
  } catch (const StatusError& error) {
    return Annotate(error.status(), what);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(what, ": ", error.what()));
  }
}

ExpertShard ShardOf(const ModelConfig& config, comm::Group* group) {
  const int64_t ranks = group == nullptr ? 1 : group->size();
  const int64_t count = config.num_experts / ranks;
  return {group == nullptr ? 0 : group->rank() * count, count};
}

absl::StatusOr<std::shared_ptr<const Batch>> CheckRows(const ModelConfig& config,
                                                       const PackedBatch& packed,
                                                       absl::Span<const int32_t> rows) {
  PONDER_ASSIGN_OR_RETURN(Batch checked, CheckBatch(config, packed));
  // The targets play no part: token 0 is always one.
  const std::vector<int32_t> targets(rows.size(), 0);
  PONDER_RETURN_IF_ERROR(CheckTargets(config, checked.size(), rows, targets, 1));
  return std::make_shared<const Batch>(std::move(checked));
}

}  // namespace

double RouterStats::MeanLoadImbalance() const {
  double sum = 0;
  int64_t layers = 0;
  for (const std::vector<int64_t>& counts : expert_tokens) {
    int64_t total = 0;
    for (int64_t count : counts) total += count;
    if (total == 0) continue;
    sum += static_cast<double>(*std::max_element(counts.begin(), counts.end())) * counts.size() /
           total;
    ++layers;
  }
  return layers == 0 ? 0 : sum / layers;
}

std::vector<std::string> RouterStats::StarvingExperts() const {
  std::vector<std::string> starving;
  for (size_t i = 0; i < expert_tokens.size(); ++i) {
    const std::vector<int64_t>& counts = expert_tokens[i];
    int64_t all = 0;
    for (const int64_t count : counts) all += count;
    for (size_t e = 0; e < counts.size(); ++e) {
      if (10 * counts[e] * static_cast<int64_t>(counts.size()) < all) {
        starving.push_back(absl::StrCat(layers[i], ".", e));
      }
    }
  }
  return starving;
}

struct Decoder::State {
  State(const ModelConfig& config, const Options& options, comm::Group* expert_group);
  // What the last block made of the batch, [T, H]: a graph to walk back.
  at::Tensor Trunk(const std::shared_ptr<const Batch>& batch);

  const ModelConfig config;
  comm::Group* const expert_group;  // null when the experts are not sharded
  Workspace workspace;
  const RotaryTables rotary;
  const bool frozen;
  ParameterStore store;
  std::unique_ptr<ExpertExchange> exchange;  // with an expert group
  Embedding embedding;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<MoeBlock*> moe_blocks;  // those of `blocks` that route
  RouterLoss router_loss;
  std::optional<RowNorm> final_norm;  // of rows whose hidden state is asked for
  std::optional<LmHead> head;         // one of these two
  std::optional<ValueHead> scalar_head;
  at::Tensor leaf = at::empty({0}).set_requires_grad(true);  // of every graph
};

Decoder::State::State(const ModelConfig& config, const Options& options, comm::Group* expert_group)
    : config(config),
      expert_group(expert_group),
      workspace(options.threads),
      rotary(config),
      frozen(options.frozen),
      store(config, ShardOf(config, expert_group), options.frozen),
      embedding(store.View(kEmbedding), workspace) {
  const ParameterView norm = store.View(kFinalNorm);
  final_norm.emplace(norm, config.rms_norm_eps, workspace);
  if (config.scalar_head) {
    scalar_head.emplace(norm, config.rms_norm_eps, store.View(kScalarHeadWeight), workspace);
  } else {
    head.emplace(norm, config.rms_norm_eps,
                 store.View(config.tie_word_embeddings ? kEmbedding : kHead), workspace);
  }
  if (expert_group != nullptr) {
    exchange = std::make_unique<ExpertExchange>(*expert_group, config.num_experts, workspace);
  }
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    if (config.IsMla()) {
      blocks.push_back(
          std::make_unique<LatentAttentionBlock>(config, layer, store, rotary, workspace));
    } else {
      blocks.push_back(std::make_unique<AttentionBlock>(config, layer, store, rotary, workspace));
    }
    if (config.IsMoeLayer(layer)) {
      auto moe = std::make_unique<MoeBlock>(config, layer, store, ShardOf(config, expert_group),
                                            exchange.get(), workspace);
      moe_blocks.push_back(moe.get());
      blocks.push_back(std::move(moe));
    } else {
      blocks.push_back(std::make_unique<DenseBlock>(config, layer, store, workspace));
    }
  }
}

at::Tensor Decoder::State::Trunk(const std::shared_ptr<const Batch>& batch) {
  at::Tensor x = ApplyEmbedding(embedding, batch, leaf);
  for (const std::unique_ptr<Block>& block : blocks) x = ApplyBlock(*block, batch, x);
  return x;
}

Decoder::Decoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
Decoder::~Decoder() = default;

absl::StatusOr<std::unique_ptr<Decoder>> Decoder::Make(const ModelConfig& config,
                                                       const Weights& weights,
                                                       const Options& options,
                                                       comm::Group* expert_group) {
  PONDER_RETURN_IF_ERROR(config.Validate());
  PONDER_RETURN_IF_ERROR(weights.MatchesConfig(config));
  if (options.threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("decoder: threads is ", options.threads, ", below 1"));
  }
  if (expert_group != nullptr && expert_group->size() == 1) expert_group = nullptr;
  if (expert_group != nullptr &&
      (config.num_experts == 0 || config.num_experts % expert_group->size() != 0)) {
    return absl::InvalidArgumentError(absl::StrCat(config.num_experts,
                                                   " experts can't be split evenly over ",
                                                   expert_group->size(), " expert-parallel ranks"));
  }
  at::set_num_threads(1);
  std::unique_ptr<Decoder> decoder(
      new Decoder(std::make_unique<State>(config, options, expert_group)));
  PONDER_RETURN_IF_ERROR(decoder->Load(weights));
  return decoder;
}

const ModelConfig& Decoder::config() const { return state_->config; }
absl::Span<const Parameter> Decoder::parameters() const { return state_->store.parameters(); }
absl::Span<float> Decoder::replicated_gradients() {
  return state_->store.gradients(/*expert=*/false);
}
absl::Span<float> Decoder::expert_gradients() { return state_->store.gradients(/*expert=*/true); }
void Decoder::ZeroGradients() {
  for (const bool expert : {false, true}) {
    kernels::SetZero(state_->workspace.pool, state_->store.gradients(expert));
  }
}
kernels::ThreadPool& Decoder::pool() { return state_->workspace.pool; }
bool Decoder::frozen() const { return state_->frozen; }
void Decoder::Adapt(absl::string_view name, const LowRank& adapter) {
  PONDER_CHECK(state_->frozen, name, " is trained itself");
  state_->store.adapter(name) = adapter;
}

void Decoder::WeightsChanged() {
  for (const std::unique_ptr<Block>& block : state_->blocks) block->Pack();
  if (state_->head.has_value()) state_->head->Pack();
  if (state_->scalar_head.has_value()) state_->scalar_head->Pack();
}

absl::StatusOr<TokenStats> Decoder::Forward(const PackedBatch& packed,
                                            absl::Span<const int32_t> rows,
                                            absl::Span<const int32_t> targets, float temperature,
                                            bool hidden) {
  PONDER_CHECK(state_->head.has_value(), "a model with a scalar head says nothing of tokens");
  PONDER_ASSIGN_OR_RETURN(Batch checked, CheckBatch(state_->config, packed));
  PONDER_RETURN_IF_ERROR(CheckTargets(state_->config, checked.size(), rows, targets, temperature));
  const auto batch = std::make_shared<const Batch>(std::move(checked));
  TokenStats stats;
  PONDER_RETURN_IF_ERROR(Guarded("forward", [&] {
    LmHead::Query query{{rows.begin(), rows.end()}, {targets.begin(), targets.end()}, temperature};
    const at::Tensor x = state_->Trunk(batch);
    stats = ApplyLmHead(*state_->head, std::move(query), x);
    if (hidden) stats.hidden = ApplyRowNorm(*state_->final_norm, {rows.begin(), rows.end()}, x);
  }));
  return stats;
}

absl::StatusOr<at::Tensor> Decoder::ForwardHidden(const PackedBatch& packed,
                                                  absl::Span<const int32_t> rows) {
  PONDER_ASSIGN_OR_RETURN(const auto batch, CheckRows(state_->config, packed, rows));
  at::Tensor hidden;
  PONDER_RETURN_IF_ERROR(Guarded("forward", [&] {
    hidden = ApplyRowNorm(*state_->final_norm, {rows.begin(), rows.end()}, state_->Trunk(batch));
  }));
  return hidden;
}

absl::StatusOr<at::Tensor> Decoder::ForwardValues(const PackedBatch& packed,
                                                  absl::Span<const int32_t> rows) {
  PONDER_CHECK(state_->scalar_head.has_value(), "the model has no scalar head");
  PONDER_ASSIGN_OR_RETURN(const auto batch, CheckRows(state_->config, packed, rows));
  at::Tensor values;
  PONDER_RETURN_IF_ERROR(Guarded("forward", [&] {
    values = ApplyValueHead(*state_->scalar_head, {rows.begin(), rows.end()}, state_->Trunk(batch));
  }));
  return values;
}

absl::Status Decoder::Backward(const at::Tensor& loss) {
  return Guarded("backward", [&] { loss.backward(); });
}

void Decoder::SetRouterLoss(RouterLoss loss) {
  const std::vector<MoeBlock*>& blocks = state_->moe_blocks;
  PONDER_CHECK(loss.per_token == 0 || loss.load.size() == blocks.size(), loss.load.size());
  state_->router_loss = std::move(loss);
  const auto& load = state_->router_loss.load;
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i]->SetRouterLoss(&state_->router_loss, load.empty() ? nullptr : load[i].data());
  }
}

void Decoder::NudgeSelectionBias(const std::vector<std::vector<int64_t>>& expert_tokens,
                                 double speed) {
  PONDER_CHECK(expert_tokens.size() == state_->moe_blocks.size(), expert_tokens.size());
  for (size_t i = 0; i < expert_tokens.size(); ++i) {
    state_->moe_blocks[i]->NudgeSelectionBias(expert_tokens[i], static_cast<float>(speed));
  }
}

RouterStats Decoder::TakeRouterStats() {
  RouterStats stats;
  for (MoeBlock* block : state_->moe_blocks) {
    LayerRouterStats& layer = block->stats();
    stats.layers.push_back(block->layer());
    stats.expert_tokens.push_back(layer.expert_tokens);
    stats.entropy_sum += layer.entropy_sum;
    stats.tokens += layer.tokens;
    stats.loss.balance += layer.loss.balance;
    stats.loss.z += layer.loss.z;
    stats.replayed += layer.replayed;
    stats.rerouted += layer.rerouted;
    const size_t experts = layer.expert_tokens.size();
    layer = LayerRouterStats();
    layer.expert_tokens.assign(experts, 0);
  }
  return stats;
}

absl::StatusOr<std::shared_ptr<const Weights>> Decoder::Export(int64_t version) {
  return state_->store.Export(version, state_->expert_group);
}

absl::Status Decoder::Load(const Weights& weights) {
  PONDER_RETURN_IF_ERROR(weights.MatchesConfig(state_->config));
  PONDER_RETURN_IF_ERROR(state_->store.Load(weights));
  WeightsChanged();
  return absl::OkStatus();
}

}  // namespace ponder::moe
