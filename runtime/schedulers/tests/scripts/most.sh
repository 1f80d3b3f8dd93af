#!/bin/bash
#SBATCH --job-name=solver-1.2
#SBATCH --mem=4097M
#SBATCH --time=1-02:01
#SBATCH --gres=gpu:2
#SBATCH --array=0-99%4
#SBATCH --signal=B:USR1@90
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=solver-1.2-%A_%a.slurm
#SBATCH --partition=long
#SBATCH '--comment=a b'

# Written by `wherry slurm`. The state of the job lies in a directory that every node sees: whenever Slurm starts this
# script, on whatever node, the job goes on from its last checkpoint. Why it was queued again: squeue --format '%i %T %k'.

job=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
state='/scratch/all of us/states'/$SLURM_JOB_NAME-$job

# Shown as the job's comment, while Slurm takes one.
say() {
    echo "wherry: $1" >&2
    scontrol update JobId="$SLURM_JOB_ID" Comment="wherry: $1" >&2 || true
}

# USR1 comes 90 s before the time limit, TERM when Slurm takes the node away: then it also decides whether the job is
# queued again. The job itself gets the one from here, the other from Slurm.
cause= signalled=
trap 'cause="time limit" signalled=1; kill -USR1 "$child" 2>/dev/null' USR1
trap 'cause="taken off the node" signalled=1; kill -TERM "$child" 2>/dev/null' TERM

((${SLURM_RESTART_COUNT:-0} == 0)) || say "goes on, start $((SLURM_RESTART_COUNT + 1))"
mkdir -p "$state"
'/opt/wherry tools/wherry' pull registry.example/team/solver:1.2 || exit
'/opt/wherry tools/wherry' run --state "$state" --grace 90s --output "$state.out" --log "$state.err" \
    ${SLURM_ARRAY_TASK_ID:+--env "SLURM_ARRAY_TASK_ID=$SLURM_ARRAY_TASK_ID"} --dir 'my data::/in::ro' registry.example/team/solver:1.2 'it'\''s' '$HOME' '' &
child=$!
[[ $signalled ]] && kill -USR1 "$child" # it came before there was anything to signal
wait "$child"
code=$?
while [[ $signalled ]]; do # a signal ends `wait`, not the job
    signalled=
    wait "$child"
    code=$?
done

# Slurm ends this script with TERM when the job is queued again. Without a time that would be in two minutes; a node refuses
# what was killed there in the same second.
requeue() { # WHY [SECONDS]
    say "$1"
    trap '' TERM
    scontrol requeue "$SLURM_JOB_ID" && scontrol update JobId="$SLURM_JOB_ID" StartTime="now+${2:-10}"
}

case $code in
85)
    if [[ $cause == "taken off the node" ]]; then
        say "checkpointed: $cause"
    else
        requeue "checkpointed: ${cause:-asked for}"
    fi
    ;;
138 | 143) # signalled while it started
    if [[ $cause == "time limit" ]]; then requeue "$cause, before it could go on"; fi
    ;;
69 | 75) requeue "not now (exit code $code)" 120 ;; # its state is in use on another node, or the policy waits
esac
exit "$code"
