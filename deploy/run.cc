#include "deploy/run.h"

#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "actor/evaluate.h"
#include "actor/links.h"
#include "base/atomic_file.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "data/prompt_set.h"
#include "deploy/model_folder.h"
#include "deploy/model_shape.h"
#include "deploy/run_data.h"
#include "deploy/run_folder.h"
#include "deploy/run_processes.h"
#include "deploy/run_summary.h"
#include "deploy/run_view.h"
#include "deploy/stop_signal.h"
#include "deploy/supervisor.h"
#include "moe/checkpoint.h"
#include "nlohmann/json.hpp"
#include "proto/config.h"

namespace ponder::deploy {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kRefresh = absl::Milliseconds(100);  // of the view

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// A run under way. A machine; everything happens on the thread of Execute.
class LocalRun {
 public:
  LocalRun(RunFolder folder, v1::Config config, std::unique_ptr<MetricsLog> metrics,
           std::unique_ptr<Supervisor> supervisor)
      : folder_(std::move(folder)),
        config_(std::move(config)),
        metrics_(std::move(metrics)),
        supervisor_(std::move(supervisor)),
        processes_(folder_, config_, *supervisor_),
        view_(
            [this] {
              RunView::Options options = RunView::ForStdout(folder_.metrics());
              std::error_code error;
              options.begin = static_cast<int64_t>(fs::file_size(folder_.metrics(), error));
              return options;
            }(),
            std::cout) {}

  absl::Status Execute();
  void Stop() { stopping_ = true; }

 private:
  absl::Status PrepareDataOnce();
  absl::Status MakeModel(const std::string& folder);
  // Unless an earlier life of the run has made `out`.
  absl::Status StartLearner(const std::string& stage, const std::string& model,
                            const std::string& out);
  // Sees the stage to its end; the actors work meanwhile if there are any.
  absl::Status RunStage(const std::string& stage, int64_t steps, const std::string& out,
                        const std::string& verifier);
  absl::Status WaitForLearner();
  absl::Status NoteEvent(const ChildEvent& event);
  absl::StatusOr<actor::EvalReport> Evaluate(const std::string& model_folder,
                                             const std::string& prompts_file, int64_t max_prompts,
                                             const std::string& verifier);
  // Once for each name in the life of the run; nothing without held-out prompts.
  absl::Status EvaluateModel(const std::string& name, const std::string& model,
                             const std::string& verifier);
  absl::Status Conclude(const std::string& model, const std::string& verifier);
  absl::Status Refresh();

  const RunFolder folder_;
  const v1::Config config_;
  const std::unique_ptr<MetricsLog> metrics_;
  const std::unique_ptr<Supervisor> supervisor_;
  RunProcesses processes_;
  RunView view_;
  absl::Time stage_started_;
  std::set<std::string> actors_given_up_;
  std::atomic<bool> stopping_{false};
};

absl::Status LocalRun::Execute() {
  const bool from_scratch = config_.base_model().empty();
  const bool teaches = from_scratch && config_.sft().steps() > 0;
  const std::string initial = from_scratch ? folder_.model("init") : config_.base_model();
  const std::string start = teaches ? folder_.model("sft") : initial;
  const std::string final_model = folder_.model("final");

  PONDER_RETURN_IF_ERROR(PrepareDataOnce());
  if (from_scratch) PONDER_RETURN_IF_ERROR(MakeModel(initial));
  PONDER_ASSIGN_OR_RETURN(const std::string verifier, processes_.StartVerifier());
  if (teaches) {
    PONDER_RETURN_IF_ERROR(EvaluateModel("before_sft", initial, verifier));
    PONDER_RETURN_IF_ERROR(StartLearner("sft", initial, start));
    PONDER_RETURN_IF_ERROR(RunStage("sft", config_.sft().steps(), start, verifier));
  }
  // The model is tried while the learner loads, which takes LibTorch a second.
  PONDER_RETURN_IF_ERROR(StartLearner("rl", start, final_model));
  PONDER_RETURN_IF_ERROR(EvaluateModel("after_sft", start, verifier));
  PONDER_RETURN_IF_ERROR(RunStage("rl", config_.rl().steps(), final_model, verifier));
  PONDER_RETURN_IF_ERROR(EvaluateModel("after_rl", final_model, verifier));
  return Conclude(final_model, verifier);
}

absl::Status LocalRun::PrepareDataOnce() {
  const std::string done = folder_.root + "/data/done";
  if (Exists(done)) return absl::OkStatus();
  std::shared_ptr<const data::ModelText> text = data::ByteText();
  if (!config_.base_model().empty()) {
    PONDER_ASSIGN_OR_RETURN(const OpenedModel opened,
                            OpenModel(config_.base_model(), TextOptions(config_.data())));
    text = opened.text;
  }
  PONDER_ASSIGN_OR_RETURN(const auto dropped, PrepareData(config_, text, folder_));
  if (!dropped.empty()) {
    std::vector<std::string> ids;
    for (size_t i = 0; i < dropped.size() && i < 20; ++i) ids.push_back(dropped[i].id);
    PONDER_RETURN_IF_ERROR(
        metrics_->Write({{"event", "prompts_dropped"},
                         {"count", dropped.size()},
                         {"max_prompt_tokens", config_.data().max_prompt_tokens()},
                         {"ids", ids}}));
    view_.Print(absl::StrCat(dropped.size(), " prompts have more than data.max_prompt_tokens = ",
                             config_.data().max_prompt_tokens(),
                             " tokens and were left out, the first: ", ids[0]));
  }
  return WriteFileAtomic(done, "");
}

absl::Status LocalRun::MakeModel(const std::string& folder) {
  if (Exists(folder)) return absl::OkStatus();
  const moe::ModelConfig shape = ModelConfigOf(config_.model());
  PONDER_RETURN_IF_ERROR(shape.Validate());
  return moe::SaveModel(folder, {shape, moe::InitWeights(shape, config_.seed())});
}

absl::Status LocalRun::StartLearner(const std::string& stage, const std::string& model,
                                    const std::string& out) {
  return Exists(out) ? absl::OkStatus() : processes_.StartLearner(stage, model, out);
}

absl::Status LocalRun::RunStage(const std::string& stage, int64_t steps, const std::string& out,
                                const std::string& verifier) {
  if (Exists(out)) return absl::OkStatus();  // done in an earlier life of the run
  stage_started_ = SteadyNow();
  PONDER_RETURN_IF_ERROR(
      metrics_->Write({{"event", "stage_start"}, {"stage", stage}, {"steps", steps}}));
  if (stage == "rl") PONDER_RETURN_IF_ERROR(processes_.StartActors(verifier));
  PONDER_RETURN_IF_ERROR(WaitForLearner());
  if (stage == "rl") PONDER_RETURN_IF_ERROR(processes_.StopActors());
  PONDER_RETURN_IF_ERROR(
      metrics_->Write({{"event", "stage_end"},
                       {"stage", stage},
                       {"seconds", absl::ToDoubleSeconds(SteadyNow() - stage_started_)}}));
  return Refresh();
}

absl::Status LocalRun::WaitForLearner() {
  while (true) {
    PONDER_RETURN_IF_ERROR(Refresh());
    const std::optional<ChildEvent> event = supervisor_->NextEvent(SteadyNow() + kRefresh);
    if (!event.has_value()) continue;
    PONDER_RETURN_IF_ERROR(NoteEvent(*event));
    if (event->name == RunProcesses::kLearner) {
      if (event->what == ChildEvent::What::kFinished) return absl::OkStatus();
      if (event->what == ChildEvent::What::kGaveUp) {
        return absl::AbortedError(
            absl::StrCat(event->cause, "; go on with `ponder run --resume ", folder_.root, "`"));
      }
    } else if (event->what == ChildEvent::What::kGaveUp) {
      const bool judges =
          event->name == RunProcesses::kVerifier || event->name == RunProcesses::kReward;
      if (!judges) actors_given_up_.insert(event->name);
      if (judges || static_cast<int64_t>(actors_given_up_.size()) == config_.actor().count()) {
        return absl::AbortedError(
            absl::StrCat(event->cause,
                         "; it died too often to be started again; mend it, then go "
                         "on with `ponder run --resume ",
                         folder_.root, "`"));
      }
    }
  }
}

absl::Status LocalRun::NoteEvent(const ChildEvent& event) {
  if (event.what != ChildEvent::What::kDied && event.what != ChildEvent::What::kRestarted &&
      event.what != ChildEvent::What::kGaveUp) {
    return absl::OkStatus();
  }
  return metrics_->Write({{"event", "process"},
                          {"name", event.name},
                          {"what", EventName(event.what)},
                          {"pid", event.pid},
                          {"cause", event.cause}});
}

absl::Status LocalRun::Refresh() {
  if (stopping_) {
    return absl::CancelledError(
        absl::StrCat("stopped; go on with `ponder run --resume ", folder_.root, "`"));
  }
  return view_.Update();
}

absl::StatusOr<actor::EvalReport> LocalRun::Evaluate(const std::string& model_folder,
                                                     const std::string& prompts_file,
                                                     int64_t max_prompts,
                                                     const std::string& verifier) {
  data::PromptSetOptions limits;
  limits.max_prompt_tokens = config_.data().max_prompt_tokens();
  limits.system_prompt = config_.data().system_prompt();
  PONDER_ASSIGN_OR_RETURN(OpenedModel opened, OpenModel(model_folder, TextOptions(config_.data())));
  limits.text = opened.text;
  PONDER_ASSIGN_OR_RETURN(const data::PromptSet set, data::LoadPrompts(prompts_file, limits));
  moe::Model& model = opened.model;
  model.config.LimitPositions(limits.max_prompt_tokens + config_.rl().max_response_tokens());
  actor::EvalOptions options;
  options.samples = config_.eval().samples();
  options.sampling.temperature = static_cast<float>(config_.eval().temperature());
  options.max_response_tokens = config_.rl().max_response_tokens();
  options.max_prompts = max_prompts;
  options.seed = config_.seed();
  options.system_prompt = config_.data().system_prompt();
  options.text = opened.text;
  options.engine.threads = static_cast<int>(config_.learner().threads());
  options.engine.max_batch = config_.actor().max_batch();
  options.engine.kv_cache_mib = config_.actor().kv_cache_mib();
  const auto link =
      actor::MakeGrpcVerifierLink({verifier, absl::Seconds(config_.verifier().deadline_seconds())});
  return actor::Evaluate(model, set.prompts, options, *link);
}

absl::Status LocalRun::EvaluateModel(const std::string& name, const std::string& model,
                                     const std::string& verifier) {
  PONDER_ASSIGN_OR_RETURN(const RunSummary known, Summarize(folder_));
  if (!Exists(folder_.eval_prompts()) || known.evaluated.count(name) > 0) return absl::OkStatus();
  const absl::Time start = SteadyNow();
  PONDER_ASSIGN_OR_RETURN(
      const actor::EvalReport report,
      Evaluate(model, folder_.eval_prompts(), config_.eval().max_prompts(), verifier));
  nlohmann::ordered_json sources = nlohmann::ordered_json::object();
  for (const actor::EvalReport::Source& source : report.sources) {
    sources[source.name] = source.avg_at_k.value;
  }
  nlohmann::ordered_json line = {{"event", "eval"},
                                 {"name", name},
                                 {"accuracy", report.avg_at_k.value},
                                 {"accuracy_low", report.avg_at_k.interval.low},
                                 {"accuracy_high", report.avg_at_k.interval.high},
                                 {"sources", sources},
                                 {"greedy", report.greedy.value},
                                 {"pass_at_k", report.pass_at.back().accuracy.value},
                                 {"samples", report.samples},
                                 {"prompts", report.prompts},
                                 {"response_tokens", report.mean_response_tokens},
                                 {"unparsable", report.unparsable},
                                 {"errors", report.errors},
                                 {"seconds", absl::ToDoubleSeconds(SteadyNow() - start)}};
  if (report.scored > 0) line["mean_score"] = report.mean_score;
  PONDER_RETURN_IF_ERROR(metrics_->Write(line));
  return Refresh();
}

absl::Status LocalRun::Conclude(const std::string& model, const std::string& verifier) {
  PONDER_ASSIGN_OR_RETURN(const RunSummary summary, Summarize(folder_));
  PONDER_RETURN_IF_ERROR(WriteSummary(folder_, summary, model));
  const bool held_out = Exists(folder_.eval_prompts());
  PONDER_ASSIGN_OR_RETURN(
      const actor::EvalReport samples,
      Evaluate(model, held_out ? folder_.eval_prompts() : folder_.train_prompts(), 3, verifier));

  std::string text = "\n";
  const auto accuracy = [&](const char* when, const std::optional<double>& avg,
                            const std::optional<double>& greedy) {
    if (avg.has_value()) {
      absl::StrAppendFormat(&text,
                            "  %-11s %5.1f%% of sampled answers right (avg@%d), %5.1f%% greedily\n",
                            when, 100 * *avg, config_.eval().samples(), 100 * greedy.value_or(0));
    }
  };
  if (held_out) absl::StrAppend(&text, "On held-out prompts:\n");
  accuracy("untrained", summary.accuracy_before, summary.greedy_before);
  accuracy("after SFT", summary.accuracy_sft, summary.greedy_sft);
  accuracy("after RL", summary.accuracy_rl, summary.greedy_rl);
  absl::StrAppendFormat(&text, "%d RL steps on %d samples in %.0f s", summary.steps,
                        summary.samples, summary.seconds_rl);
  if (summary.seconds_sft > 0)
    absl::StrAppendFormat(&text, ", after %.0f s of SFT", summary.seconds_sft);
  absl::StrAppend(&text, ".\n\nThree ", held_out ? "held-out" : "training",
                  " prompts, as the model answers them now:\n");
  for (const actor::EvalReport::Example& example : samples.examples) {
    absl::StrAppend(&text, "  ", example.question, "  ", example.response, "  [",
                    OutcomeName(example.verdict.outcome), "]\n");
  }
  const std::string binaries =
      fs::path(SiblingProgram("ponder").value_or("ponder")).parent_path().string();
  const std::string prompts = held_out ? folder_.eval_prompts() : folder_.train_prompts();
  absl::StrAppend(&text, "\nThe model is in ", model, ". Try next:\n", "  ", binaries,
                  "/ponder generate --model ", model, " --prompt \"",
                  samples.examples.empty() ? "12+34+56=?" : samples.examples[0].question, "\"\n",
                  "  ", binaries, "/ponder eval --model ", model, " --prompts ", prompts,
                  " --samples 8\n", "  sqlite3 ", folder_.pool(), " \"select * from summary\"\n");
  view_.Print(text);
  return absl::OkStatus();
}

// The config of the run, its folder and its log: of a new run, or of the one to go on with.
absl::StatusOr<std::unique_ptr<LocalRun>> Open(const RunOptions& options) {
  const bool resumes = !options.resume.empty();
  v1::Config config;
  RunFolder folder;
  if (resumes) {
    PONDER_ASSIGN_OR_RETURN(folder, OpenRunFolder(options.resume));
    PONDER_ASSIGN_OR_RETURN(config, LoadConfig(folder.config(), {}));
  } else {
    if (options.out.empty()) {
      return absl::InvalidArgumentError(
          "give the new run a folder with --out, or an old one with --resume");
    }
    std::vector<std::string> overrides = options.overrides;
    // Absolute, as it is written down for every process and every resume.
    if (!options.model.empty())
      overrides.push_back(absl::StrCat("base_model=", fs::absolute(options.model).string()));
    PONDER_ASSIGN_OR_RETURN(config, LoadConfig(options.config, overrides));
    PONDER_ASSIGN_OR_RETURN(folder, NewRunFolder(options.out));
    PONDER_RETURN_IF_ERROR(WriteFileAtomic(folder.config(), PrintConfig(config)));
  }
  PONDER_ASSIGN_OR_RETURN(auto metrics, MetricsLog::Open(folder.metrics()));
  PONDER_ASSIGN_OR_RETURN(auto supervisor, Supervisor::Create({}));
  return std::make_unique<LocalRun>(std::move(folder), std::move(config), std::move(metrics),
                                    std::move(supervisor));
}

}  // namespace

absl::Status Run(const RunOptions& options) {
  BlockStopSignals();
  PONDER_ASSIGN_OR_RETURN(const auto run, Open(options));
  StopSignal stop([&run] { run->Stop(); });
  return run->Execute();
}

}  // namespace ponder::deploy
