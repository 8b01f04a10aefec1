#include "train_options.h"

#include "compute.h"
#include "model_package.h"
#include "nn/optimizer.h"

#define FIELD(name) offsetof(TrainOptions, name)

static const Option options[] = {
    {"chips", OPTION_TEXT, FIELD(chips), NULL, NULL, 0, 0, NULL,
     "The chip set that export made: its .h5 file, or a folder of ArcGIS (Classified_Tiles, "
     "RCNN_Masks, PASCAL_VOC_rectangles) or COCO."},
    {"output", OPTION_TEXT, FIELD(output), NULL, NULL, 0, 0, NULL,
     "The model package to write (.dlpk): weights, definition, metrics and provenance."},
    {"model", OPTION_CHOICE, FIELD(model), "auto", NULL, 0, 0, "auto|" MODEL_KIND_CHOICES,
     "What is trained. A U-Net makes maps of classes; Mask R-CNN finds objects and their outlines, "
     "Faster R-CNN their boxes. auto: what the chips are for."},
    {"encoder", OPTION_CHOICE, FIELD(encoder), "resnet34", NULL, 0, 0, ENCODER_CHOICES,
     "The ResNet that it is built over. resnet18 is fastest; resnet50 and resnet101 have the most "
     "to say on large data sets."},
    {"start", OPTION_TEXT, FIELD(start), "", NULL, 0, 0, NULL,
     "Weights to start from: a package of quadrat, or a .pth or .safetensors of torchvision or "
     "segmentation_models_pytorch. "
     "Empty: random weights."},
    {"start_part", OPTION_CHOICE, FIELD(start_part), "auto", NULL, 0, 0, "auto|whole|body|encoder",
     "What to take from start: all of it, all but what tells classes apart, or the encoder alone. "
     "auto: as much as fits."},
    {"frozen_layers", OPTION_INT, FIELD(frozen_layers), "-1", NULL, -1, 5, NULL,
     "Stages of the ResNet, from the image on, that keep the weights they start with: 1 is its "
     "first convolution, 5 all of it. -1: 2 where a detector starts from weights, else 0."},
    {"epochs", OPTION_INT, FIELD(epochs), "30", NULL, 1, 1000000, NULL,
     "How often each training chip is used, at most."},
    {"batch_size", OPTION_INT, FIELD(batch_size), "8", NULL, 1, 65536, NULL,
     "Samples of a step, over all ranks; a multiple of their number."},
    {"crop_size", OPTION_INT, FIELD(crop_size), "0", "px", 0, 8192, NULL,
     "Side of the samples cut from chips at random, a multiple of 32. 0: the chip's own size, "
     "rounded down to one."},
    {"crops_per_chip", OPTION_INT, FIELD(crops_per_chip), "0", NULL, 0, 10000, NULL,
     "Samples from each chip in an epoch. 0: as many as cover it."},
    {"learning_rate", OPTION_REAL, FIELD(learning_rate), "0.001", NULL, 1e-9, 100, NULL,
     "The highest learning rate."},
    {"schedule", OPTION_CHOICE, FIELD(schedule), "one_cycle", NULL, 0, 0, SCHEDULE_CHOICES,
     "How the learning rate goes over the steps. one_cycle rises for 30 % of them and then falls "
     "to almost nothing."},
    {"warm_up_steps", OPTION_INT, FIELD(warm_up_steps), "0", NULL, 0, 1000000000, NULL,
     "Steps over which all but one_cycle rise from almost 0."},
    {"milestones", OPTION_REALS, FIELD(milestones), "", "epochs", 0, 1000000, NULL,
     "Epochs after which multi_step divides the rate by ten. Empty: after 61.5 % and 84.6 % of all "
     "(16 and 22 of 26)."},
    {"optimizer", OPTION_CHOICE, FIELD(optimizer), "adamw", NULL, 0, 0, OPTIMIZER_CHOICES,
     "How gradients move weights."},
    {"momentum", OPTION_REAL, FIELD(momentum), "0.9", NULL, 0, 0.9999, NULL,
     "SGD's momentum or AdamW's beta1; one_cycle moves it between 0.85 and 0.95."},
    {"weight_decay", OPTION_REAL, FIELD(weight_decay), "0.01", NULL, 0, 10, NULL,
     "Pull of the weights towards 0; decoupled from the gradients in AdamW."},
    {"clip_norm", OPTION_REAL, FIELD(clip_norm), "0", NULL, 0, 1e9, NULL,
     "Gradients with a larger norm are scaled down to it. 0: never."},
    {"focal_gamma", OPTION_REAL, FIELD(focal_gamma), "0", NULL, 0, 10, NULL,
     "Focal loss: how much pixels that are already right count less. 0: plain cross-entropy."},
    {"dice_fraction", OPTION_REAL, FIELD(dice_fraction), "0", NULL, 0, 1, NULL,
     "Share of the dice loss in the whole; the rest is cross-entropy."},
    {"class_balancing", OPTION_FLAG, FIELD(class_balancing), "no", NULL, 0, 0, NULL,
     "Weighs classes in the cross-entropy inversely to their pixels."},
    {"class_weights", OPTION_REALS, FIELD(class_weights), "", NULL, 0, 1e6, NULL,
     "Weights of the classes in the cross-entropy, in the order in which the log lists them."},
    {"ignore_classes", OPTION_REALS, FIELD(ignore_classes), "", NULL, 0, 65535, NULL,
     "Class values that are no part of the model: their pixels have no say."},
    {"unlabelled", OPTION_CHOICE, FIELD(unlabelled), "auto", NULL, 0, 0, "auto|background|ignore",
     "What pixels without a label are: a class of their own, or without a say. auto: background "
     "where labels were polygons, "
     "ignore where they were a raster."},
    {"flips", OPTION_FLAG, FIELD(flips), "yes", NULL, 0, 0, NULL, "Mirrors samples at random."},
    {"turns", OPTION_FLAG, FIELD(turns), "yes", NULL, 0, 0, NULL,
     "Turns samples by quarter turns at random."},
    {"scale_least", OPTION_REAL, FIELD(scale_least), "0.75", NULL, 0.1, 10, NULL,
     "Samples are scaled at random from scale_least …"},
    {"scale_most", OPTION_REAL, FIELD(scale_most), "1.35", NULL, 0.1, 10, NULL,
     "… to scale_most. 1 and 1: never."},
    {"brightness", OPTION_REAL, FIELD(brightness), "0.2", NULL, 0, 10, NULL,
     "Samples are made lighter or darker at random, by at most this many standard deviations."},
    {"contrast", OPTION_REAL, FIELD(contrast), "0.2", NULL, 0, 0.95, NULL,
     "The distance from a band's mean is multiplied at random by 1 - contrast to 1 + contrast."},
    {"validation_share", OPTION_REAL, FIELD(validation_share), "0.1", NULL, 0, 0.9, NULL,
     "Share of the ground, in whole blocks, that is not trained on but tested on. 0: none."},
    {"validate_every", OPTION_INT, FIELD(validate_every), "1", "epochs", 1, 1000000, NULL,
     "How often that is done."},
    {"patience", OPTION_INT, FIELD(patience), "0", NULL, 0, 1000000, NULL,
     "Stops after this many validations without a better result. 0: never."},
    {"monitor", OPTION_CHOICE, FIELD(monitor), "auto", NULL, 0, 0,
     "auto|loss|mean_iou|mean_f1|accuracy|ap|ap50",
     "What is called better; the best epoch's weights become the model. Without validation the "
     "last do. auto: mean_iou of maps, COCO's average precision (ap) of objects, by their masks "
     "where there are some."},
    {"shared_norm", OPTION_FLAG, FIELD(shared_norm), "no", NULL, 0, 0, NULL,
     "Batch norms take their statistics over all ranks' samples, so that the result does not "
     "depend on the number of ranks; "
     "slower."},
    {"frozen_norm", OPTION_CHOICE, FIELD(frozen_norm), "auto", NULL, 0, 0, "auto|yes|no",
     "Batch norms keep the statistics that they start with (in detectors also their weights). "
     "auto: where a detector starts from weights."},
    {"norm_eps", OPTION_REAL, FIELD(norm_eps), "-1", NULL, -1, 0.1, NULL,
     "What a detector's batch norms add to variances. Below 0: 1e-5, or the package's; "
     "torchvision's weights of whole detectors want 0."},
    {"anchor_sizes", OPTION_REALS, FIELD(anchor_sizes), "", "px", 1, 65536, NULL,
     "Sides of the boxes that a detector starts from, one for each of its five maps. Empty: 32, "
     "64, 128, 256, 512, or the package's."},
    {"proposals", OPTION_INT, FIELD(proposals), "2000", NULL, 1, 100000, NULL,
     "Proposals of each map, and in all, that a detector is trained on at most."},
    {"rpn_batch_size", OPTION_INT, FIELD(rpn_batch_size), "256", NULL, 2, 100000, NULL,
     "Anchors of each sample that the proposals are learned from."},
    {"box_batch_size", OPTION_INT, FIELD(box_batch_size), "512", NULL, 4, 100000, NULL,
     "Proposals of each sample that boxes, classes and masks are learned from."},
    {"seed", OPTION_INT, FIELD(seed), "1", NULL, 0, 9007199254740991, NULL,
     "Everything random follows from it: weights, split, order, augmentation."},
    {"device", OPTION_CHOICE, FIELD(device), "auto", NULL, 0, 0, DEVICE_CHOICES,
     "Where to compute. auto: GPUs if there are any, shared out among the ranks of a node."},
    {"precision", OPTION_CHOICE, FIELD(precision), "auto", NULL, 0, 0, PRECISION_CHOICES,
     "What activations and products are in; weights stay float32. auto: bfloat16 where the device "
     "is fast in it, float16 on GPUs that have no bfloat16. float16, on GPUs only, scales the loss "
     "so "
     "that gradients stay in range, and leaves out steps in which they did not."},
    {"autotune", OPTION_FLAG, FIELD(autotune), "no", NULL, 0, 0, NULL,
     "On a GPU: each convolution gets the fastest of cuDNN's engines by the clock, not the one "
     "that cuDNN's rules name. The first run times them, for some seconds; later ones read what it "
     "found. Results then depend on these times in their last digits. On a CPU nothing changes."},
    {"threads", OPTION_INT, FIELD(threads), "0", NULL, 0, 1024, NULL,
     "Computing threads of each rank. 0: OMP_NUM_THREADS, or all cores."},
    {"reader_threads", OPTION_INT, FIELD(reader_threads), "1", NULL, 1, 16, NULL,
     "Threads of each rank that read and augment ahead."},
    {"log", OPTION_TEXT, FIELD(log), "", NULL, 0, 0, NULL,
     "A file of JSON lines: every step's loss, every validation. Empty: the output's name with "
     ".log.jsonl."},
    {"checkpoint", OPTION_TEXT, FIELD(checkpoint), "", NULL, 0, 0, NULL,
     "Where the state is kept after each epoch. Empty: the output's name with .checkpoint.h5."},
    {"checkpoint_every", OPTION_INT, FIELD(checkpoint_every), "120", "s", 0, 86400, NULL,
     "The state is kept at the end of the first epoch after this time; always when a signal stops "
     "the job."},
    {"resume", OPTION_CHOICE, FIELD(resume), "auto", NULL, 0, 0, "auto|yes|no",
     "Whether to go on from the checkpoint: auto does so if there is one, yes insists, no begins "
     "anew."},
};

const OptionTable train_table = {
    .tool = "train",
    .summary = "a chip set (and weights to start from) -> a model package",
    .example = "mpirun -n 2 quadrat train --chips=chips.h5 --output=roofs.dlpk --encoder=resnet34 "
               "--epochs=40",
    .options = options,
    .count = sizeof options / sizeof *options,
};
