"""Help texts of the programs."""

USAGE = """usage: cplearn COMMAND ...

Self-supervised representations that do not collapse, and scores that tell.

  check        how a training would read your images   FOLDER [VAL]
  pretrain     train a backbone on unlabelled images   --config-name cplearn.yaml [key=value ...]
  linear       linear probe on a trained backbone      RUN_OR_CHECKPOINT [key=value ...]
  knn          k nearest neighbours                    RUN_OR_CHECKPOINT [key=value ...]
  clustering   codes and k-means against classes       RUN_OR_CHECKPOINT [key=value ...]
  table        a paper's table beside your runs        --config-name table1.yaml data.dataset=digits seeds=3
  tune         search for the keys of a method         --config-name cplearn.yaml data.train_path=FOLDER budget=20
  runs         your runs: state, age, scores           [FOLDER] [key=value ...] [--sort SCORE]
  collapse     whether and how runs collapsed, a page  RUN_OR_CHECKPOINT_OR_FEATURES ...
  embed        the vectors of your images in a file    RUN_OR_CHECKPOINT IMAGES OUT
  gallery      your images as one page to open         RUN_OR_CHECKPOINT IMAGES [OUT]
  predict      the classes of your images in a file    RUN_OR_CHECKPOINT IMAGES OUT
  detect       boxes and masks by a trained backbone   RUN_OR_CHECKPOINT [data.train=... data.val=...]
  duplicates   images that are nearly the same         RUN_OR_CHECKPOINT IMAGES
  search       images that are nearest to yours        RUN_OR_CHECKPOINT INDEX QUERY ...
  export       the backbone for other software         RUN_OR_CHECKPOINT OUT
  solo-learn   run a script of a solo-learn checkout   PATH/main_pretrain.py --config-path ... --config-name ...
  dino         run a DINO checkout with a method       PATH/main_dino.py --method cplearn ... -- [DINO's arguments]
  methods      list methods and their method_kwargs
  backbones    list backbones
  datasets     list data sets

cplearn COMMAND --help says more."""

CHECK = """Reports how a training would read your images: kinds, classes, damaged and empty files, copies. Draws
32 of them in a contact sheet.

  cplearn check FOLDER                                        a sample of the images
  cplearn check FOLDER VAL --all                              every image, and scored ones
  cplearn check DATA.parquet data.range=auto

FOLDER and VAL are whatever data.train_path and data.val_path take (docs/data.md), and may be given as these keys. All
keys of a pretraining are keys here, such as data.no_labels=true to ignore class folders, or
augmentations.0.crop_size=224."""

PRETRAIN = """Trains a backbone without labels and scores it.

Keys are solo-learn's; any argument of Lightning's Trainer is a key too. --cfg job lists them all. With data.train_path
configurations come from scripts/pretrain/auto, otherwise from scripts/pretrain/digits, unless --config-path is given.

  cplearn pretrain --config-name cplearn.yaml                       digits, about a minute, no download
  cplearn pretrain data.train_path=FOLDER                           your images, with settings that fit them
  cplearn pretrain data.train_path=FOLDER dry_run=true              only how long that takes
  cplearn pretrain --config-path scripts/pretrain/cifar --config-name cplearn.yaml
  cplearn pretrain --config-name cplearn.yaml seed=1 method_kwargs.proj_output_dim=1024
  cplearn pretrain --config-name cplearn.yaml -m seed=0,1,2         one run after the other"""

LINEAR = """Trains a linear classifier on frozen features. --config-name paper.yaml follows the paper, dino.yaml
follows DINO on a ViT; finetune.yaml trains the backbone as well."""

EVALUATE = """  cplearn {name} RUN                                            on its own held-out images
  cplearn {name} RUN data.val_path=FOLDER data.val_split=0      on others, of the same classes

RUN is a run folder or a checkpoint, and pretrained=RUN says it, too. --cfg job lists the keys."""

TABLE = """Shows a table of the papers beside your results, and runs the missing cells first.

  cplearn table --config-name table1.yaml data.dataset=digits seeds=3           Table 1, nothing to download
  cplearn table --config-name table1.yaml data.dataset=custom data.train_path=FOLDER data.val_path=OTHERS
  cplearn table --config-name table1.yaml "rows=['CPLearn (10)']"               one row and the reference rows
  cplearn table --config-name table1.yaml against=baseline                      differences to the best baseline
  cplearn table --config-name table1.yaml scale=full                            the paper's settings
  cplearn table --config-name table1.yaml run=false                             only what is there
  cplearn table --config-name table1.yaml table=mine.yaml                       a table of your own

Keys, which docs/tables.md explains: table scale seeds rows columns compare_with label against run rerun_stale results
work workers launcher slurm. All others are pretraining keys that hold in every cell, such as max_epochs=1, or the
keys of data above for your own images. A finished cell is never run again, and the same command resumes a killed
grid."""

TUNE = """Searches for the learning rate and other keys of a method, scored on held-out training images.

  cplearn tune --config-name cplearn.yaml                                       digits, nothing to download
  cplearn tune --config-name cplearn.yaml data.train_path=FOLDER budget=20      your own images
  cplearn tune --config-name cplearn.yaml data.train_path=FOLDER data.no_labels=true score=rankme
  cplearn tune --config-path scripts/pretrain/cifar_mini --config-name swav.yaml score=mean_rank workers=2

Keys, which docs/tune.md explains: budget score rungs sampler generation space results work workers launcher slurm. All
others are pretraining keys that hold in every trial. Configurations are in the same places as for cplearn pretrain.
The same command resumes a killed search."""

DETECT = """Puts the backbone of a run into a detector, trains it on images with boxes and scores it: AP, AP50, AP75.

  cplearn detect RUN                                              scenes of digits that are drawn here, about a minute
  cplearn detect RUN from_scratch=true                            the same backbone with random weights
  cplearn detect RUN data.train=train.json data.val=val.json      your own, annotated in COCO's format
  cplearn detect RUN --config-name coco_c4.yaml                   the papers' settings; voc_c4.yaml, coco_fpn.yaml

RUN is a run folder or a checkpoint of a ResNet. docs/detection.md explains the keys. The same command resumes a
killed call. It needs pip install "cplearn-solo[detection]"."""

SOLO_LEARN = """usage: cplearn solo-learn PATH/SCRIPT.py [solo-learn's own arguments]

Runs main_pretrain.py, main_linear.py, main_knn.py or main_umap.py of a solo-learn checkout (1.0.6; nothing has to be
installed), also with the methods of this package that solo-learn lacks and the backbone cplearn_resnet8. The last two
scripts need a GPU. Without one, write devices="'1'": solo-learn needs a value with a length, Lightning a number."""

DINO = """Runs main_dino.py of a checkout of facebookresearch/dino with a method of this package instead of DINO's
head, loss and teacher. All else stays DINO's, also the arguments after --. DINO's evaluations load the checkpoints.

  cplearn dino PATH/main_dino.py --method cplearn --dict_size 131072 --beta 0.25 -- --arch vit_small --data_path FOLDER
  torchrun --nproc_per_node=8 --no-python cplearn dino ...                        several GPUs
  cplearn dino --write-patch FILE PATH                                            the same without this program

--KEY VALUE is any of the method's method_kwargs, which --method NAME --help lists; if an option has the same name, use
--method_kwargs.KEY. --dict_size is CPLearn's proj_output_dim. After git apply FILE in the checkout, python main_dino.py
--method NAME ... does the same."""
