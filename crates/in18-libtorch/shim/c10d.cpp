// c10d's TCPStore and ProcessGroupGloo behind a C interface, as `ranks.rs` declares it.
//
// Every function writes the text of what went wrong to `error`, a buffer of `capacity` bytes, and returns a code; no exception
// leaves the shim. A collective keeps the caller's memory in use until its work is over, which a `wait` that failed does not
// mean: abort the group first.

// Without it c10d leaves Gloo out.
#define USE_C10D_GLOO

#include <c10/util/Flags.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/exception.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

// In libc10: the lowest level of messages that are printed.
C10_DECLARE_int(caffe2_log_level);

namespace {

using std::chrono::milliseconds;

// The codes, as `ranks.rs` has them.
constexpr int kDone = 0;
constexpr int kTimeout = 1;
constexpr int kLost = 2;
constexpr int kInvalid = 3;
constexpr int kOther = 4;

// The types, as `ranks.rs` has them.
constexpr std::array kTypes = {at::kFloat, at::kBFloat16, at::kHalf, at::kByte, at::kDouble};

// No rank sends by this tag.
constexpr int kUnusedTag = 0x7ffffff0;

struct Invalid : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void write_text(char* error, size_t capacity, std::string_view text) noexcept {
  if (error == nullptr || capacity == 0) {
    return;
  }
  size_t length = std::min(text.size(), capacity - 1);
  // A character of several bytes is not cut.
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) {
    --length;
  }
  std::memcpy(error, text.data(), length);
  error[length] = '\0';
}

// Gloo has one exception for time-outs and for lost connections: its text tells them apart.
int code_of(std::string_view text) noexcept {
  const auto has = [text](std::string_view part) { return text.find(part) != std::string_view::npos; };
  if (has("imed out") || has("imeout")) {
    return kTimeout;
  }
  return has("onnect") || has("ocket") || has("remote process") || has("Broken pipe") || has("EADDRINUSE") ? kLost : kOther;
}

template <typename Function>
int guarded(char* error, size_t capacity, Function&& function) noexcept {
  const auto failed = [&](int code, std::string_view text) {
    write_text(error, capacity, text);
    return code;
  };
  try {
    function();
    return kDone;
  } catch (const Invalid& e) {
    return failed(kInvalid, e.what());
  } catch (const c10::Error& e) {
    const std::string_view text = e.what_without_backtrace();
    return failed(code_of(text), text);
  } catch (const std::exception& e) {
    return failed(code_of(e.what()), e.what());
  } catch (...) {
    return failed(kOther, "an exception that is none of C++'s own");
  }
}

// `device`: a CUDA device's number, or -1 for this process's own memory.
at::Tensor view(void* data, size_t count, int type, int device) {
  const auto where = device < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device));
  const auto options = at::TensorOptions().dtype(kTypes.at(type)).device(where);
  return at::from_blob(data, {static_cast<int64_t>(count)}, options);
}

}  // namespace

struct in18_group {
  c10::intrusive_ptr<c10d::TCPStore> server;
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  // For memory of GPUs, where the ranks have some.
  c10::intrusive_ptr<c10d::Backend> nccl;
  // What it meets the other ranks by.
  c10::intrusive_ptr<c10d::Store> nccl_store;
  int rank = 0;
  int world = 1;

  c10d::Backend& backend(int device) const {
    if (device < 0) {
      return *gloo;
    }
    if (!nccl) {
      throw Invalid("GPUs of ranks that joined without them");
    }
    return *nccl;
  }
};

struct in18_work {
  c10::intrusive_ptr<c10d::Work> work;
  std::vector<at::Tensor> tensors;
};

#pragma GCC visibility push(default)
extern "C" {

// Joins the ranks. `prefix`: before all keys; `serves`: whether this process serves the store. `host`: this machine's address as
// the others reach it, or null for what GLOO_SOCKET_IFNAME or the host's name says.
int in18_group_join(in18_group** out, int rank, int world, const char* master, uint16_t port, const char* prefix,
                    bool serves, const char* host, int64_t join_ms, int64_t timeout_ms, char* error,
                    size_t capacity) {
  return guarded(error, capacity, [&] {
    // What goes wrong is returned; c10d would also print it, with a backtrace.
    FLAGS_caffe2_log_level = 3;
    auto group = std::make_unique<in18_group>();
    group->rank = rank;
    group->world = world;
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serves;
    options.numWorkers = static_cast<size_t>(world);
    options.waitWorkers = true;
    options.timeout = milliseconds(join_ms);
    group->server = c10::make_intrusive<c10d::TCPStore>(std::string(master), options);
    group->store = c10::make_intrusive<c10d::PrefixStore>(std::string(prefix), group->server);
    c10d::Store& store = *group->store;
    // Ranks that do not fit each other are told now, where it can be said what is wrong.
    store.set("world/" + std::to_string(rank), std::to_string(world));
    if (store.add("rank/" + std::to_string(rank), 1) != 1) {
      throw Invalid("two processes are rank " + std::to_string(rank));
    }
    const std::string theirs = store.get_to_str("world/0");
    if (theirs != std::to_string(world)) {
      throw Invalid("rank 0 has a world of " + theirs + ", rank " + std::to_string(rank) + " one of " +
                    std::to_string(world));
    }
    using Options = c10d::ProcessGroupGloo::Options;
    c10::intrusive_ptr<Options> gloo;
    if (host != nullptr) {
      gloo = Options::create(milliseconds(timeout_ms));
      gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(host));
    } else {
      gloo = Options::create_default(milliseconds(timeout_ms));
    }
    group->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("gloo", group->store), rank, world, std::move(gloo));
    group->nccl_store = c10::make_intrusive<c10d::PrefixStore>("nccl", group->store);
    *out = group.release();
  });
}

// Where `in18_cuda_join_nccl` puts the engine for GPUs, and the store that it takes.
void* in18_group_nccl(in18_group* group) noexcept { return &group->nccl; }
const void* in18_group_nccl_store(const in18_group* group) noexcept { return &group->nccl_store; }

// Ends every operation that is under way, here and, as lost connections, at the other ranks.
int in18_group_abort(in18_group* group, char* error, size_t capacity) {
  return guarded(error, capacity, [&] {
    if (group->nccl) {
      group->nccl->abort();
    }
    if (group->world == 1) {
      return;
    }
    // c10d's Gloo has no abort. But a receive that times out makes Gloo close all of its connections.
    std::vector<at::Tensor> nothing{at::zeros({1}, at::kByte)};
    try {
      group->gloo->recv(nothing, group->rank == 0 ? 1 : 0, kUnusedTag)->wait(milliseconds(1));
    } catch (const std::exception&) {
    }
  });
}

int in18_group_leave(in18_group* group, char* error, size_t capacity) {
  return guarded(error, capacity, [&] {
    const std::unique_ptr<in18_group> ended(group);
    if (group->nccl) {
      group->nccl->shutdown();
    }
  });
}

// Sums over all ranks, in place.
int in18_group_sum(in18_work** out, in18_group* group, void* data, size_t count, int type, int device, char* error,
                   size_t capacity) {
  return guarded(error, capacity, [&] {
    auto work = std::make_unique<in18_work>();
    work->tensors.push_back(view(data, count, type, device));
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::SUM;
    work->work = group->backend(device).allreduce(work->tensors, options);
    *out = work.release();
  });
}

// Rank 0's values for all ranks, in place.
int in18_group_broadcast(in18_work** out, in18_group* group, void* data, size_t count, int type, int device,
                         char* error, size_t capacity) {
  return guarded(error, capacity, [&] {
    auto work = std::make_unique<in18_work>();
    work->tensors.push_back(view(data, count, type, device));
    work->work = group->backend(device).broadcast(work->tensors, c10d::BroadcastOptions());
    *out = work.release();
  });
}

// Every rank's values, one rank after the other.
int in18_group_gather(in18_work** out, in18_group* group, void* send, void* receive, size_t count, int type,
                      char* error, size_t capacity) {
  return guarded(error, capacity, [&] {
    auto work = std::make_unique<in18_work>();
    work->tensors.push_back(view(send, count, type, -1));
    work->tensors.push_back(view(receive, count * static_cast<size_t>(group->world), type, -1));
    work->work = static_cast<c10d::Backend&>(*group->gloo)
                     ._allgather_base(work->tensors[1], work->tensors[0], c10d::AllgatherOptions());
    *out = work.release();
  });
}

// Until the work is done or has failed; that on a GPU is waited for by the GPU alone.
int in18_work_wait(in18_work* work, char* error, size_t capacity) {
  return guarded(error, capacity, [&] { work->work->wait(); });
}

// Whether the work is done; an error if it has failed. Waits for nothing.
int in18_work_look(in18_work* work, bool* is_over, char* error, size_t capacity) {
  return guarded(error, capacity, [&] {
    *is_over = work->work->isCompleted();
    if (*is_over && work->work->exception()) {
      std::rethrow_exception(work->work->exception());
    }
  });
}

bool in18_work_is_over(const in18_work* work) noexcept { return work->work->isCompleted(); }

void in18_work_drop(in18_work* work) noexcept { delete work; }

// What a rank writes for the others to look at.
int in18_group_note(in18_group* group, const char* key, const char* text, char* error, size_t capacity) {
  return guarded(error, capacity, [&] { group->store->set(std::string(key), std::string(text)); });
}

// The text of a note; empty if there is none.
int in18_group_read_note(in18_group* group, const char* key, char* text, size_t length, char* error, size_t capacity) {
  return guarded(error, capacity, [&] {
    write_text(text, length, group->store->check({key}) ? group->store->get_to_str(key) : std::string());
  });
}

}  // extern "C"
#pragma GCC visibility pop
