#!/bin/sh
# The commands behind benchmarks/results/study-*.md: grid.sh <folder> <CIFAR-10 train.parquet> <CIFAR-10 test.parquet>.
# Resumable: finished cells are skipped. Run from the repository's root with OMP_NUM_THREADS=1.
set -e
out=$1 cifar_train=$2 cifar_test=$3
weights=teacher/artifacts/student.safetensors
teacher() { python -m benchmarks.study.teacher "$@"; }
cells() {
    python -c 'from distill.cli import study; study()' "$@" --set quality_samples=1000 --set precision=fp32 \
        --set channels_last=true --set compile=false --set cache_teacher=true --set device=cpu
}
# Seed 0 of the VGG pair on CIFAR-10 also had --recipes ...,logit and --selections ...,banded,per_resolution.
rules=top_q,even,anchored,anchored_block,anchored_unpooled

mkdir -p "$out/cifar10-part"
python -m benchmarks.study.subset "$cifar_train" 10000 "$out/cifar10-part/train.parquet"
python -m benchmarks.study.subset "$cifar_test" 4000 "$out/cifar10-part/test.parquet"
teacher "train=$cifar_train" "test=$cifar_test" 'retort:vgg11_small?width=24' 8 crop_flip "$out/cifar-vgg"
teacher "train=$cifar_train" "test=$cifar_test" 'retort:resnet14?width=16' 3 crop_flip "$out/cifar-resnet"
teacher fashion-mnist 'retort:vgg11_small?width=24' 3 none "$out/fashion-vgg"
teacher fashion-mnist 'retort:resnet14?width=16' 3 none "$out/fashion-resnet"

for seeds in 1 2 3; do
    for data in cifar fashion; do
        case $data in
            cifar) set -- --dataset "train=$out/cifar10-part/train.parquet" --dataset "test=$out/cifar10-part/test.parquet" ;;
            fashion) set -- --dataset fashion-mnist --set train_limit=6000 --set test_limit=4000 ;;
        esac
        limit=$([ $data = cifar ] && echo 8000 || echo 6000)
        cells "$@" --teacher "$out/$data-vgg/$weights" --student 'retort:vgg11_small?width=8' --set layers=4 --epochs 6 \
            --recipes cross_entropy,feature_only --selections $rules --seeds $seeds --output "$out/$data-vgg/rules"
        cells "$@" --teacher "$out/$data-resnet/$weights" --student 'retort:resnet8?width=8' --set layers=3 --epochs 5 \
            --set train_limit=$limit \
            --recipes cross_entropy,feature_only --selections $rules --seeds $seeds --output "$out/$data-resnet/rules"
    done
done

geometry='feature_only?feature_loss=procrustes,feature_only?feature_loss=gram,feature_only?feature_loss=cka'
cells --dataset fashion-mnist --set train_limit=2500 --set test_limit=4000 --set layers=3 --epochs 8 --seeds 1 \
    --teacher "$out/fashion-resnet/$weights" --student 'retort:resnet8?width=8' --selections anchored_unpooled \
    --recipes "cross_entropy,logit,logit_standardized,feature_logit,feature_only,similarity_preserving,semckd,simkd,$geometry,blockwise_logit" \
    --output "$out/fashion-resnet/wide"
