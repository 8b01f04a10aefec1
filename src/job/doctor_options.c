#include "doctor_options.h"

#include "compute.h"

#define FIELD(name) offsetof(DoctorOptions, name)

static const Option options[] = {
    {"device", OPTION_CHOICE, FIELD(device), "auto", NULL, 0, 0, DEVICE_CHOICES,
     "What to examine besides the CPU. auto: GPUs if there are any, shared out among the ranks of "
     "a "
     "node. gpu: it is an error if there is none."},
    {"threads", OPTION_INT, FIELD(threads), "0", NULL, 0, 1024, NULL,
     "Computing threads of each rank. 0: OMP_NUM_THREADS, or all cores."},
    {"folder", OPTION_TEXT, FIELD(folder), ".", NULL, 0, 0, NULL,
     "Where the disk is measured, with files that vanish by themselves: choose the folder that "
     "results will be written to."},
    {"disk_size", OPTION_INT, FIELD(disk_size_mib), "256", "MiB", 0, 1048576, NULL,
     "Written there and read again, over all ranks. 0: the disk is not measured."},
    {"json", OPTION_TEXT, FIELD(json), "", NULL, 0, 0, NULL,
     "Also writes all findings (.json); replaces what is there."},
};

const OptionTable doctor_table = {"doctor",
                                  "this machine -> libraries, ranks, speeds, self-test of every op",
                                  "quadrat doctor --folder=/scratch --json=doctor.json", options,
                                  sizeof options / sizeof *options};
