"""llama.cpp's side of `benchmarks.llama`: JSON lines in, JSON lines out, until the input ends.

Run as `python llama_worker.py FILE.gguf THREADS` by an interpreter that has llama-cpp-python, which
is why nothing of polydraft is imported here. One context for all: the prompt's cells belong to
every sequence (`kv_unified`), so that sequences share it as our rows do.

Each request names what to do; the answer to "steps" and "drafts" is the wall time in seconds.
"""

import ctypes
import json
import sys
import time

import llama_cpp as llama

SEQUENCES = 16
SLOTS = 2048
# llama.cpp's own examples sample so: the k sequences must differ to be drafts
TOP_K, TEMPERATURE = 40, 0.8


class Llama:
    """A model and the prompt in its cache. Only llama.cpp's low-level interface is used."""

    def __init__(self, path, threads):
        llama.llama_backend_init()
        model_params = llama.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(path.encode(), model_params)
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = SLOTS, 512, 512
        params.n_threads = params.n_threads_batch = threads
        params.n_seq_max, params.kv_unified = SEQUENCES, True
        self.context = llama.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit("llama.cpp could not make a context")
        self.memory = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(params.n_batch, 0, SEQUENCES)
        self.prompt = []

    def decode(self, tokens, positions, sequences, wanted):
        """One call of the model; `sequences` [M] lists, `wanted` [M] whether logits are."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, positions[i], wanted[i]
            batch.n_seq_id[i] = len(sequences[i])
            for j, sequence in enumerate(sequences[i]):
                batch.seq_id[i][j] = sequence
        if llama.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")
        llama.llama_get_logits(self.context)  # waits for them

    def forget(self, position):
        """Every sequence ends before `position`."""
        for sequence in range(SEQUENCES):
            llama.llama_memory_seq_rm(self.memory, sequence, position, -1)

    def feed_prompt(self, start):
        """The prompt from `start` on, for all sequences, with the last token's logits."""
        rest = self.prompt[start:]
        wanted = [0] * (len(rest) - 1) + [1]
        everyone = [list(range(SEQUENCES))] * len(rest)
        self.decode(rest, range(start, len(self.prompt)), everyone, wanted)

    def set_prompt(self, ids):
        self.forget(0)
        self.prompt = ids
        started = time.perf_counter()
        self.feed_prompt(0)
        return time.perf_counter() - started

    def steps(self, rows, repeats):
        """Times of a step that adds one token to each of `rows` sequences behind the prompt."""
        end, times = len(self.prompt), []
        tokens, apart = self.prompt[:rows], [[i] for i in range(rows)]
        for _ in range(repeats):
            started = time.perf_counter()
            self.decode(tokens, [end] * rows, apart, [1] * rows)
            times.append(time.perf_counter() - started)
            self.forget(end)
        return times

    def drafts(self, k, length):
        """Time of k sampled sequences of `length` tokens; the prompt is cached but for its last."""
        end = len(self.prompt)
        self.forget(end - 1)
        samplers = [self.sampler(seed) for seed in range(k)]
        apart = [[i] for i in range(k)]
        started = time.perf_counter()
        self.feed_prompt(end - 1)
        rows = [[self.sample(sampler, -1)] for sampler in samplers]
        for step in range(length - 1):
            self.decode([row[-1] for row in rows], [end + step] * k, apart, [1] * k)
            for i, row in enumerate(rows):
                row.append(self.sample(samplers[i], i))
        seconds = time.perf_counter() - started
        self.forget(end)
        for sampler in samplers:
            llama.llama_sampler_free(sampler)
        return seconds

    def sampler(self, seed):
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_k(TOP_K))
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(TEMPERATURE))
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(seed))
        return chain

    def sample(self, sampler, row):
        return llama.llama_sampler_sample(sampler, self.context, row)


@llama.llama_log_callback
def silent(level, text, data):
    """llama.cpp's log goes nowhere."""


def main():
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    theirs = Llama(sys.argv[1], int(sys.argv[2]))
    methods = {"prompt": theirs.set_prompt, "steps": theirs.steps, "drafts": theirs.drafts}
    system = llama.llama_print_system_info().decode()
    print(json.dumps({"version": llama.__version__, "system": system}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = methods[request.pop("do")](**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
