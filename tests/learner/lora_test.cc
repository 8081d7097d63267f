// LoRA: gradients by finite differences, the merged weights against a product written out in
// float64, and files as PEFT names things.
#include "learner/lora.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

TEST(Lora, OnlyTheAdaptersAreTrainedAndTheMergedModelIsBasePlusAdapter) {
  const auto statuses = OnRanks(1, 1, {}, [](TestRank& rank) -> absl::Status {
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
    const auto file =
        moe::ParseSafetensors(Bytes(files.at("adapter_model.safetensors")), "adapter");
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
  const auto statuses = OnRanks(1, 1, {}, [](TestRank& rank) -> absl::Status {
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
    rank.decoder->ZeroGradients();
    loss(true);
    lora->TakeGradients();
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

TEST(Lora, FilesAreAsPeftLaysThemOut) {
  const auto statuses = OnRanks(1, 1, {}, [](TestRank& rank) -> absl::Status {
    const moe::FolderFiles files = MakeLora(*rank.decoder)->Files();
    const auto file =
        moe::ParseSafetensors(Bytes(files.at("adapter_model.safetensors")), "adapter");
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
  const auto first = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
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
  const auto resumed = OnRanks(1, 1, {}, [&](TestRank& rank) -> absl::Status {
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
  const auto statuses = OnRanks(1, 1, {}, [](TestRank& rank) -> absl::Status {
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
