/* specs CHILD COUNT LIMIT: a pipeline of COUNT specs that wait for nothing, LIMIT at a time. */
#include "ours.h"

int main(int argc, char **argv) {
  host_begin(argc, 3);
  uint32_t count = (uint32_t)atoi(argv[2]);
  coreproc_service *service = service_new();
  coreproc_pipeline *pipeline;
  MUST(coreproc_pipeline_new(&pipeline, err));
  for (uint32_t i = 0; i < count; i++) {
    char number[12];
    int length = snprintf(number, sizeof number, "%u", i);
    coreproc_command *command = command_new((char *[]){argv[1], number, NULL});
    MUST(coreproc_pipeline_add(pipeline, number, (size_t)length, command, NULL, err));
    coreproc_command_free(command);
  }
  coreproc_run_options options = {.struct_size = sizeof options, .limit = (uint64_t)atoi(argv[3])};
  uint64_t bytes = 0, checksum = 0, start = now_ns(), cpu = cpu_us();
  coreproc_run *run;
  MUST(coreproc_run_start(pipeline, service, &options, &run, err));
  MUST(coreproc_run_wait(run, -1, err));
  for (uint32_t i = 0; i < count; i++) {
    coreproc_spec_result spec = {.struct_size = sizeof spec};
    MUST(coreproc_run_spec_get(run, i, &spec, err));
    CHECK(spec.exit_code == (int)(i % 64) && spec.signal == 0, "exit code");
    bytes += spec.output_len;
    checksum += sum_lines(spec.output, spec.output_len);
  }
  print_spawn(count, now_ns() - start, cpu_us() - cpu, bytes, checksum);
  coreproc_run_free(run);
  coreproc_pipeline_free(pipeline);
  coreproc_service_free(service);
  return 0;
}
