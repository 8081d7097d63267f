// LoRA: gradients by finite differences and by the chain rule, the merged weights against a product
// written out in float64, what has a gradient and moments at all, and files as PEFT names things.
#include "learner/lora.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "learner/checkpoint.h"
#include "moe/safetensors.h"
#include "nlohmann/json.hpp"
#include "tests/learner/learner_fixture.h"

namespace ponder::learner {
namespace lora_test {

std::unique_ptr<LoraAdapters> MakeLora(moe::Decoder& decoder, int64_t rank = 3) {
  LoraAdapters::Options options;
  options.rank = rank;
  options.alpha = 5;
  options.base_model = "models/base";
  auto lora = LoraAdapters::Make(options, decoder);
  EXPECT_TRUE(lora.ok()) << lora.status();
  return *std::move(lora);
}

std::vector<absl::Status> OnFrozenRank(const std::function<absl::Status(TestRank&)>& body) {
  return OnRanks(1, 1, {}, body, /*frozen=*/true);
}

using Tensors = std::map<std::string, at::Tensor>;

Tensors Copy(absl::Span<const moe::Parameter> parameters) {
  Tensors tensors;
  for (const moe::Parameter& parameter : parameters)
    tensors[parameter.name] = parameter.tensor.detach().clone();
  return tensors;
}

// W_0 + alpha / r B A, element by element in float64.
at::Tensor Product(const at::Tensor& base, const at::Tensor& a, const at::Tensor& b, double scale) {
  at::Tensor w = base.to(at::kDouble).clone();
  for (int64_t i = 0; i < w.size(0); ++i) {
    for (int64_t j = 0; j < w.size(1); ++j) {
      double sum = 0;
      for (int64_t k = 0; k < a.size(0); ++k)
        sum += static_cast<double>(b[i][k].item<float>()) * a[k][j].item<float>();
      w[i][j] += scale * sum;
    }
  }
  return w;
}

// What the file holds once it is written.
std::string Bytes(const moe::FolderFile& file) {
  std::string bytes = file.text;
  for (const auto part : file.parts) bytes.append(part.begin(), part.end());
  return bytes;
}

// adapter_model.safetensors as a file of its own.
absl::StatusOr<std::shared_ptr<const moe::Weights>> Reopened(const moe::FolderFiles& files) {
  const std::string name = "adapter_model.safetensors";
  PONDER_RETURN_IF_ERROR(
      WriteFileAtomic(absl::StrCat(::testing::TempDir(), "/", name), Bytes(files.at(name))));
  return moe::OpenTensors(::testing::TempDir(), name);
}

TEST(Lora, OnlyTheAdaptersAreTrainedAndTheMergedModelIsBasePlusAdapter) {
  const auto statuses = OnFrozenRank([](TestRank& rank) -> absl::Status {
    const Tensors base = Copy(rank.decoder->parameters());
    rank.updater->gradient_step().UseAdapters(MakeLora(*rank.decoder));
    LoraAdapters& lora = *rank.updater->gradient_step().lora();
    const PolicyBatch batch = RandomBatch(1, 8);
    double first = 0, last = 0;
    for (int step = 0; step < 40; ++step) {
      const auto report = rank.updater->SupervisedUpdate(batch, 1e-2);
      if (!report.ok()) return report.status();
      (step == 0 ? first : last) = report->stats.loss;
    }
    EXPECT_LT(last, 0.8 * first);

    // From the file, as another program reads it.
    const moe::FolderFiles files = lora.Files();
    const auto file = Reopened(files);
    if (!file.ok()) return file.status();
    int adapted = 0;
    for (const auto& [name, merged] : Copy(rank.decoder->parameters())) {
      if (!absl::StrContains(name, "self_attn.") || !absl::StrContains(name, "_proj.")) {
        EXPECT_TRUE(at::equal(merged, base.at(name))) << name;
        continue;
      }
      ++adapted;
      const std::string module =
          absl::StrCat("base_model.model.", name.substr(0, name.size() - 7));  // ".weight"
      at::Tensor a = at::empty({3, merged.size(1)}), b = at::empty({merged.size(0), 3});
      for (const auto& [suffix, tensor] : {std::pair{".lora_A.weight", a}, {".lora_B.weight", b}}) {
        const absl::Status read = (*file)->CopyF32(
            module + suffix, absl::MakeSpan(tensor.data_ptr<float>(), tensor.numel()));
        if (!read.ok()) return read;
      }
      const at::Tensor want = Product(base.at(name), a, b, 5.0 / 3);
      EXPECT_LT((merged.to(at::kDouble) - want).abs().max().item<double>(), 1e-6) << name;
      EXPECT_GT((merged - base.at(name)).abs().max().item<double>(), 1e-4) << name;
    }
    EXPECT_EQ(adapted, 8);
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(Lora, GradientsAgreeWithFiniteDifferences) {
  const auto statuses = OnFrozenRank([](TestRank& rank) -> absl::Status {
    const auto lora = MakeLora(*rank.decoder);
    Rng rng(3, "lora");
    for (const moe::Parameter& parameter : lora->parameters()) {
      float* values = parameter.tensor.data_ptr<float>();
      for (int64_t i = 0; i < parameter.tensor.numel(); ++i)
        values[i] = static_cast<float>(0.1 * rng.NextGaussian());
    }
    const moe::PackedBatch batch{{3, 14, 15, 9, 26, 5, 35, 8}, {0, 8}};
    const std::vector<int32_t> rows = {0, 1, 2, 3, 4, 5, 6}, targets = {14, 15, 9, 26, 5, 35, 8};
    const auto loss = [&](bool backward) {
      lora->Merge();
      rank.decoder->WeightsChanged();
      at::AutoGradMode mode(backward);
      const auto out = rank.decoder->Forward(batch, rows, targets, 1);
      EXPECT_TRUE(out.ok()) << out.status();
      const at::Tensor sum = out->logprob.sum();
      if (backward) {
        EXPECT_TRUE(rank.decoder->Backward(sum).ok());
      }
      double total = 0;
      for (int64_t i = 0; i < out->logprob.numel(); ++i) total += out->logprob.data_ptr<float>()[i];
      return total;
    };
    loss(true);
    for (const moe::Parameter& parameter : lora->parameters()) {
      const at::Tensor gradient = parameter.tensor.grad().clone();
      const double norm = gradient.norm().item<double>();
      EXPECT_GT(norm, 0) << parameter.name;
      const at::Tensor original = parameter.tensor.detach().clone();
      at::Tensor values = parameter.tensor.detach();
      const auto difference = [&](double eps) {
        values.copy_(original + eps / norm * gradient);
        const double high = loss(false);
        values.copy_(original - eps / norm * gradient);
        const double low = loss(false);
        values.copy_(original);
        return (high - low) / (2 * eps);
      };
      // Small enough that no token changes its experts.
      const double numeric = difference(1e-3);
      EXPECT_NEAR(numeric / norm, 1, 2e-2) << parameter.name << ", gradient " << norm;
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

// Of all that multiplies.
std::vector<std::pair<moe::ModelConfig, std::vector<std::string>>> AdaptedModels() {
  moe::ModelConfig latent = TinyConfig();
  latent.qk_norm = moe::QkNorm::kNone;
  latent.q_lora_rank = 12;
  latent.kv_lora_rank = 12;
  latent.qk_nope_head_dim = 6;
  latent.qk_rope_head_dim = 4;
  latent.v_head_dim = 10;
  latent.shared_expert_intermediate_size = 16;
  latent.shared_expert_gate = false;
  return {
      {TinyConfig(),
       {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"}},
      {latent, {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "down_proj"}}};
}

TEST(Lora, GradientsFollowFromThoseOfTheWholeMatrices) {
  for (const auto& [config, targets] : AdaptedModels()) {
    const auto start = moe::InitWeights(config, 4);
    const auto adapted = moe::Decoder::Make(config, *start, {/*threads=*/2, /*frozen=*/true});
    ASSERT_TRUE(adapted.ok()) << adapted.status();
    LoraAdapters::Options options;
    options.rank = 3;
    options.targets = targets;
    const auto lora = LoraAdapters::Make(options, **adapted);
    ASSERT_TRUE(lora.ok()) << lora.status();
    Rng rng(5, "lora");
    for (const moe::Parameter& parameter : (*lora)->parameters()) {
      float* values = parameter.tensor.data_ptr<float>();
      for (int64_t i = 0; i < parameter.tensor.numel(); ++i)
        values[i] = static_cast<float>(0.1 * rng.NextGaussian());
    }
    (*lora)->Merge();
    (*adapted)->WeightsChanged();
    const auto merged = (*adapted)->Export(1);
    ASSERT_TRUE(merged.ok()) << merged.status();
    const auto whole = moe::Decoder::Make(config, **merged, {});
    ASSERT_TRUE(whole.ok()) << whole.status();

    const moe::PackedBatch batch{{3, 14, 15, 9, 26, 5, 35, 8, 9, 7}, {0, 6, 10}};
    const std::vector<int32_t> rows = {0, 1, 2, 3, 4, 6, 7}, targets_N = {14, 15, 9, 26, 5, 9, 7};
    for (moe::Decoder* decoder : {adapted->get(), whole->get()}) {
      for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {  // gradients add up
        const auto out = decoder->Forward(batch, rows, targets_N, 1);
        ASSERT_TRUE(out.ok()) << out.status();
        ASSERT_TRUE(decoder->Backward(out->logprob.sum()).ok());
      }
    }
    size_t at = 0;
    for (const moe::Parameter& parameter : (*whole)->parameters()) {
      const absl::Span<const moe::Parameter> pairs = (*lora)->parameters();
      if (at == pairs.size()) break;
      const std::string module = parameter.name.substr(0, parameter.name.rfind('.'));
      if (!absl::StrContains(pairs[at].name, module + ".lora_A")) continue;
      const at::Tensor a = pairs[at].tensor.detach(), b = pairs[at + 1].tensor.detach();
      const at::Tensor dw = parameter.tensor.grad() * (options.alpha / 3);
      for (const auto& [mine, chained] : {std::pair{pairs[at].tensor.grad(), b.t().mm(dw)},
                                          {pairs[at + 1].tensor.grad(), dw.mm(a.t())}}) {
        const double size = chained.norm().item<double>();
        EXPECT_LT((mine - chained).norm().item<double>(), 1e-5 * size + 1e-9)
            << parameter.name << ", of " << size;
      }
      at += 2;
    }
    EXPECT_EQ(at, (*lora)->parameters().size()) << "an adapter was not compared";
  }
}

TEST(Lora, OnlyAdaptersHaveGradientsAndMomentsAndTheyAreFew) {
  // The shape of a model from scratch, as proto/config.proto has it.
  moe::ModelConfig config;
  config.vocab_size = 261;
  config.hidden_size = 128;
  config.num_hidden_layers = 4;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 32;
  config.num_experts = 8;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 128;
  config.max_position_embeddings = 512;
  const auto weights = moe::InitWeights(config, 1);
  const auto decoder = moe::Decoder::Make(config, *weights, {/*threads=*/1, /*frozen=*/true});
  ASSERT_TRUE(decoder.ok()) << decoder.status();
  auto mesh = MakeMesh(comm::MakeSoloGroup(), 1);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  Updater updater({}, **decoder, *mesh);
  LoraAdapters::Options options;
  options.rank = 8;
  auto lora = LoraAdapters::Make(options, **decoder);
  ASSERT_TRUE(lora.ok()) << lora.status();
  updater.gradient_step().UseAdapters(*std::move(lora));
  const LoraAdapters& adapters = *updater.gradient_step().lora();
  // r (in + out) a matrix: q and o [128, 128], k and v [64, 128].
  EXPECT_EQ(adapters.trained(), 4 * 8 * (2 * 256 + 2 * 192));
  EXPECT_LT(static_cast<double>(adapters.trained()), 0.05 * static_cast<double>(adapters.all()));

  ASSERT_TRUE(updater.SupervisedUpdate(RandomBatch(1, 4), 1e-3).ok());
  for (const moe::Parameter& parameter : (*decoder)->parameters()) {
    EXPECT_FALSE(parameter.tensor.grad().defined()) << parameter.name;
    EXPECT_FALSE(parameter.tensor.requires_grad()) << parameter.name;
  }
  EXPECT_TRUE((*decoder)->replicated_gradients().empty());
  EXPECT_TRUE((*decoder)->expert_gradients().empty());
  EXPECT_EQ(static_cast<int64_t>(updater.gradient_step().lora()->gradients().size()),
            adapters.trained());
  int64_t moments = 0;
  for (const AdamW::Moments& of : updater.optimizer().moments())
    moments += of.exp_avg.numel() + of.exp_avg_sq.numel();
  EXPECT_EQ(moments, 2 * adapters.trained());
}

TEST(Lora, FilesAreAsPeftLaysThemOut) {
  const auto statuses = OnFrozenRank([](TestRank& rank) -> absl::Status {
    const moe::FolderFiles files = MakeLora(*rank.decoder)->Files();
    const auto file = Reopened(files);
    if (!file.ok()) return file.status();
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const TensorSpec& spec : (*file)->manifest().tensors) shapes[spec.name] = spec.shape;
    EXPECT_EQ(shapes.size(), 16u);
    const std::string q = "base_model.model.model.layers.1.self_attn.q_proj.";
    EXPECT_EQ(shapes[q + "lora_A.weight"], (std::vector<int64_t>{3, 32}));
    EXPECT_EQ(shapes[q + "lora_B.weight"], (std::vector<int64_t>{32, 3}));
    const auto config = nlohmann::json::parse(Bytes(files.at("adapter_config.json")));
    EXPECT_EQ(config["peft_type"], "LORA");
    EXPECT_EQ(config["task_type"], "CAUSAL_LM");
    EXPECT_EQ(config["r"], 3);
    EXPECT_EQ(config["lora_alpha"], 5);
    EXPECT_EQ(config["base_model_name_or_path"], "models/base");
    EXPECT_EQ(config["target_modules"], nlohmann::json({"k_proj", "o_proj", "q_proj", "v_proj"}));
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

TEST(Lora, ACheckpointGoesOnAsIfNothingHadHappened) {
  std::string folder = ::testing::TempDir() + "/loraXXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto step = [](TestRank& rank, uint64_t seed) {
    return rank.updater->SupervisedUpdate(RandomBatch(seed, 6), 1e-2).status();
  };
  Tensors whole;
  const auto first = OnFrozenRank([&](TestRank& rank) -> absl::Status {
    GradientStep& gradient_step = rank.updater->gradient_step();
    gradient_step.UseAdapters(MakeLora(*rank.decoder));
    for (uint64_t seed : {1, 2, 3}) PONDER_RETURN_IF_ERROR(step(rank, seed));
    PONDER_RETURN_IF_ERROR(SaveTraining(folder, {3, 3, 0, 3}, *rank.decoder,
                                        gradient_step.optimizer(), rank.mesh, 2, {}, nullptr,
                                        gradient_step.lora()));
    for (uint64_t seed : {4, 5}) PONDER_RETURN_IF_ERROR(step(rank, seed));
    whole = Copy(rank.decoder->parameters());
    return absl::OkStatus();
  });
  ASSERT_TRUE(first[0].ok()) << first[0];
  const auto resumed = OnFrozenRank([&](TestRank& rank) -> absl::Status {
    GradientStep& gradient_step = rank.updater->gradient_step();
    gradient_step.UseAdapters(MakeLora(*rank.decoder));
    PONDER_RETURN_IF_ERROR(
        gradient_step.lora()->Load(folder + "/step-000003", &gradient_step.optimizer()));
    gradient_step.optimizer().set_step(3);
    for (uint64_t seed : {4, 5}) PONDER_RETURN_IF_ERROR(step(rank, seed));
    for (const auto& [name, values] : Copy(rank.decoder->parameters()))
      EXPECT_TRUE(at::equal(values, whole.at(name))) << name;
    EXPECT_EQ(MakeLora(*rank.decoder, 4)->Load(folder + "/step-000003").code(),
              absl::StatusCode::kDataLoss)
        << "of another rank";
    return absl::OkStatus();
  });
  EXPECT_TRUE(resumed[0].ok()) << resumed[0];
  std::filesystem::remove_all(folder);
}

TEST(Lora, WhatCannotBeAdaptedIsNamed) {
  const auto statuses = OnFrozenRank([](TestRank& rank) -> absl::Status {
    LoraAdapters::Options options;
    options.targets = {"q_proj", "w_proj"};
    EXPECT_THAT(std::string(LoraAdapters::Make(options, *rank.decoder).status().message()),
                ::testing::HasSubstr("no matrix called w_proj"));
    options.targets = {"k_proj"};
    options.rank = 16;
    EXPECT_THAT(std::string(LoraAdapters::Make(options, *rank.decoder).status().message()),
                ::testing::HasSubstr("rank 16 is not below 16"));
    return absl::OkStatus();
  });
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
}

}  // namespace lora_test
}  // namespace ponder::learner
