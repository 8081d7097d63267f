#include "learner/curriculum.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/philox.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {

Curriculum::Curriculum(const Options& options, uint64_t seed, absl::Span<const Prompt> prompts,
                       int64_t group_size)
    : options_(options),
      seed_(seed),
      group_size_(group_size),
      epochs_(seed, static_cast<int64_t>(prompts.size()), group_size) {
  std::map<std::string, std::map<int32_t, std::vector<int64_t>>> found;
  for (size_t i = 0; i < prompts.size(); ++i) {
    found[prompts[i].source][prompts[i].difficulty].push_back(static_cast<int64_t>(i));
  }
  cell_of_.resize(prompts.size());
  for (auto& [name, levels] : found) {
    Source source;
    source.name = name;
    for (auto& [level, members] : levels) {
      for (const int64_t prompt : members) cell_of_[static_cast<size_t>(prompt)] = cells_.size();
      source.cells.push_back(cells_.size());
      const std::string stream = absl::StrCat(name, "/", level);
      orders_.emplace_back(seed ^ StableHash(stream), static_cast<int64_t>(members.size()),
                           group_size);
      Cell cell;
      cell.prompts = std::move(members);
      cell.source = sources_.size();
      cell.level = level;
      cells_.push_back(std::move(cell));
    }
    sources_.push_back(std::move(source));
  }
}

PromptOrder::Place Curriculum::Open(int64_t group_id) {
  Flight flight;
  PromptOrder::Place place;
  if (options_.adapt) {
    Rng rng(seed_, absl::StrCat("curriculum.", group_id));
    const std::vector<double> shares = Shares();
    double left = rng.NextUniform();
    while (flight.cell + 1 < cells_.size() && (left -= shares[flight.cell]) >= 0) ++flight.cell;
    // Rounding may leave a crumb for a cell that can't be drawn.
    while (shares[flight.cell] == 0) --flight.cell;
    Cell& cell = cells_[flight.cell];
    place = orders_[flight.cell].Find(cell.drawn++);
    place.prompt = cell.prompts[static_cast<size_t>(place.prompt)];
  } else {
    place = epochs_.Find(group_id);
    flight.cell = cell_of_[static_cast<size_t>(place.prompt)];
    ++cells_[flight.cell].drawn;
  }
  flights_[group_id] = flight;
  return place;
}

void Curriculum::Score(int64_t group_id, int64_t correct) {
  flights_.at(group_id).pass_rate = static_cast<double>(correct) / static_cast<double>(group_size_);
}

void Curriculum::Settle(int64_t next_group_id) {
  for (; !flights_.empty() && flights_.begin()->first < next_group_id;
       flights_.erase(flights_.begin())) {
    const Flight& flight = flights_.begin()->second;
    if (!flight.pass_rate.has_value()) continue;
    Cell& cell = cells_[flight.cell];
    ++cell.groups;
    const double rate = std::max(1.0 / static_cast<double>(cell.groups + 1), options_.rate);
    cell.pass_rate += rate * (*flight.pass_rate - cell.pass_rate);
  }
}

double Curriculum::Signal(const Cell& cell) const {
  const double p = cell.pass_rate, samples = static_cast<double>(std::max<int64_t>(group_size_, 2));
  return (1 - p) * (1 - std::pow(p, samples) - std::pow(1 - p, samples));
}

size_t Curriculum::OpenLevels(const Source& source) const {
  size_t open = 1;
  while (open < source.cells.size() &&
         cells_[source.cells[open - 1]].pass_rate > options_.open_above) {
    ++open;
  }
  return open;
}

std::vector<double> Curriculum::Shares() const {
  struct Open {
    size_t levels = 0;
    double best = 0;  // of their signals
    double sum = 0;   // of their weights
  };
  const auto weight = [this](const Cell& cell) {
    return Signal(cell) * static_cast<double>(cell.prompts.size());
  };
  std::vector<Open> open;
  double signal = 0;
  for (const Source& source : sources_) {
    Open here = {OpenLevels(source)};
    for (size_t i = 0; i < here.levels; ++i) {
      const Cell& cell = cells_[source.cells[i]];
      here.best = std::max(here.best, Signal(cell));
      here.sum += weight(cell);
    }
    signal += here.best;
    open.push_back(here);
  }
  // Nothing left to learn anywhere: all evenly.
  const double floor = signal > 0 ? options_.floor : 1;
  std::vector<double> shares(cells_.size(), 0.0);
  for (size_t s = 0; s < sources_.size(); ++s) {
    const double even = floor / static_cast<double>(sources_.size() * open[s].levels);
    const double by_signal =
        open[s].sum > 0 ? (1 - floor) * open[s].best / signal / open[s].sum : 0;
    for (size_t i = 0; i < open[s].levels; ++i) {
      const size_t cell = sources_[s].cells[i];
      shares[cell] = even + by_signal * weight(cells_[cell]);
    }
  }
  return shares;
}

std::vector<Curriculum::Domain> Curriculum::domains() const {
  const std::vector<double> shares = Shares();
  std::vector<Domain> domains;
  for (const Source& source : sources_) {
    for (size_t i = 0; i < source.cells.size(); ++i) {
      const Cell& cell = cells_[source.cells[i]];
      domains.push_back({source.name, cell.level, cell.groups, cell.pass_rate,
                         options_.adapt ? shares[source.cells[i]] : 0});
    }
  }
  return domains;
}

std::string Curriculum::State() const {
  std::vector<int64_t> drawn;
  for (const Cell& cell : cells_) drawn.push_back(cell.drawn);
  // What is in flight will be drawn again.
  for (const auto& [id, flight] : flights_) --drawn[flight.cell];
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (size_t i = 0; i < cells_.size(); ++i) {
    cells.push_back({{"source", sources_[cells_[i].source].name},
                     {"level", cells_[i].level},
                     {"drawn", drawn[i]},
                     {"groups", cells_[i].groups},
                     {"pass_rate", cells_[i].pass_rate}});
  }
  return nlohmann::ordered_json{{"domains", cells}}.dump();
}

absl::Status Curriculum::Restore(const std::string& state) {
  PONDER_CHECK(flights_.empty(), "a curriculum is restored before its first group");
  const auto broken = [](const auto&... why) {
    return absl::DataLossError(
        absl::StrCat("state of the curriculum: ", why..., "; resume from an older checkpoint"));
  };
  const auto json = nlohmann::json::parse(state, nullptr, /*allow_exceptions=*/false);
  try {
    const auto& cells = json.at("domains");
    if (cells.size() != cells_.size()) {
      return broken("it has ", cells.size(), " domains, the prompts ", cells_.size());
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (cells[i].at("source") != sources_[cells_[i].source].name ||
          cells[i].at("level") != cells_[i].level) {
        return broken("domain ", i, " is another than the prompts'");
      }
      cells[i].at("drawn").get_to(cells_[i].drawn);
      cells[i].at("groups").get_to(cells_[i].groups);
      cells[i].at("pass_rate").get_to(cells_[i].pass_rate);
    }
  } catch (const nlohmann::json::exception& error) {
    return broken(error.what());
  }
  return absl::OkStatus();
}

}  // namespace ponder::learner
