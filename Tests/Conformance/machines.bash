# How each machine boots an image of kvm-unit-tests. Sourced by `run`.

penumbra=.build/release/penumbra
work=.build/conformance

trim() { sed -E 's/^ +| +$//g' <<< "$1"; }

# boot KIND IMAGE PROCESSORS OPTIONS PARAMETERS MODEL OUTPUT SECONDS
#
# The status is the guest's, as QEMU's debug exit has it: 1 for 0, 3 for 1; 124 when the time is up.
boot() {
  local kind=$1 image=$2 cpus=$3 parameters=$5 model=$6 output=$7 seconds=$8 options status=0
  read -r -a options <<< "$4"
  case $kind in
    qemu)
      timeout "$seconds" qemu-system-x86_64 -display none -serial stdio -no-reboot -device pc-testdev \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -m 512 -smp "$cpus" -cpu "$model" -kernel "$image" -append "$parameters" \
        < /dev/null > "$output" 2> "$output.log" || status=$?
      ;;
    bochs) boot_bochs "$image" "$cpus" "$parameters" "$output" "$seconds" || status=$? ;;
    *)
      timeout "$seconds" "$penumbra" run "$image" --quiet --paging "$kind" --profile max --cpus "$cpus" "${options[@]}" \
        --append "$parameters" < /dev/null > "$output" 2> "$output.log" || status=$?
      ;;
  esac
  return $status
}
