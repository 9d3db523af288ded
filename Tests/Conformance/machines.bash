# How each machine boots an image of kvm-unit-tests. Sourced by `run`.

penumbra=${PENUMBRA:-.build/release/penumbra}
# Of `penumbra verify`: cycles between two frames that the host disturbs, and instructions after which it is enough.
churn=${CHURN:-20000}
most=${INSTRUCTIONS:-none}
work=.build/conformance

trim() { sed -E 's/^ +| +$//g' <<< "$1"; }

# boot KIND IMAGE PROCESSORS OPTIONS PARAMETERS MODEL OUTPUT SECONDS [TICKS [EVERY]]
#
# The status is the guest's, as QEMU's debug exit has it: 1 for 0, 3 for 1; 124 when the time is up. A `verify` has that verb's.
boot() {
  local kind=$1 image=$2 cpus=$3 parameters=$5 model=$6 output=$7 seconds=$8 ticks=${9-} every=${10-} options verb status=0
  read -r -a options <<< "$4"
  case $kind in
    qemu)
      timeout "$seconds" qemu-system-x86_64 -display none -serial stdio -no-reboot -device pc-testdev \
        -device isa-debug-exit,iobase=0xf4,iosize=4 -m 512 -smp "$cpus" -cpu "$model" -kernel "$image" -append "$parameters" \
        < /dev/null > "$output" 2> "$output.log" || status=$?
      ;;
    bochs) boot_bochs "$image" "$cpus" "$parameters" "$model" "$output" "$seconds" || status=$? ;;
    *)
      case $kind in
        verify*)
          verb=(verify --paging all --every "${every:-10000}" --set "max-instructions=$most" --set "clock.ticks=${ticks:-1}")
          ;;&
        verify:invariants) verb+=(--check-invariants) ;;
        verify:churn) verb+=(--check-invariants --set "host.churn=$churn") ;;
        verify) ;;
        *) verb=(run --quiet --paging "$kind") ;;
      esac
      timeout "$seconds" "$penumbra" "${verb[@]}" "$image" --profile max --cpus "$cpus" "${options[@]}" \
        --append "$parameters" < /dev/null > "$output" 2> "$output.log" || status=$?
      ;;
  esac
  return $status
}

# Makes NOPs of the first WRMSR in a function: skip_wrmsr IMAGE FUNCTION.
skip_wrmsr() {
  local address offset= kind from to size at
  address=$(nm "$1" 2> /dev/null | awk -v name="$2" '$3 == name { print $1 }')
  [[ -n $address ]] || return 0
  while read -r kind from to _ size _; do
    if [[ $kind == LOAD ]] && ((16#$address >= to && 16#$address < to + size)); then
      offset=$((from + 16#$address - to))
      break
    fi
  done < <(readelf -lW "$1")
  at=$(dd if="$1" bs=1 skip="$offset" count=64 status=none | LC_ALL=C grep -obUaP '\x0f\x30' | head -1 | cut -d: -f1)
  printf '\x90\x90' | dd of="$1" bs=1 seek=$((offset + at)) conv=notrunc status=none
}

# Bochs boots GRUB, which loads the image; it has neither QEMU's configuration port nor a test device, which the suite is told by its environment.
boot_bochs() {
  local image=$1 cpus=$2 parameters=$3 model=corei7_skylake_x output=$5 seconds=$6 folder
  [[ $4 != *AuthenticAMD* ]] || model=ryzen
  folder=$(mktemp -d "$work/bochs.XXXX")
  mkdir -p "$folder/disc/boot/grub"
  cp "$image" "$folder/disc/image"
  # Bochs 2.7 never lets a local APIC be enabled again that was disabled, and the suite does both at its start.
  skip_wrmsr "$folder/disc/image" disable_apic
  printf 'NR_CPUS=%d\nMEMSIZE=512\nBOOTLOADER=1\nTEST_DEVICE=0\n' "$cpus" > "$folder/disc/environment"
  cat > "$folder/disc/boot/grub/grub.cfg" << END
set timeout=0
menuentry test {
  multiboot /image image $parameters
  module /environment
}
END
  grub-mkrescue -d /usr/lib/grub/i386-pc -o "$folder/disc.iso" "$folder/disc" > "$output.log" 2>&1
  cat > "$folder/bochsrc" << END
megs: 512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/seabios/vgabios-stdvga.bin
cpu: model=$model, count=$cpus, ips=50000000, reset_on_triple_fault=0
clock: sync=none
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial
display_library: term
sound: driver=dummy
log: log
panic: action=fatal
END
  # Debian's build starts in its debugger: continue, and quit when the machine has ended.
  (cd "$folder" && printf 'c\nq\n' | TERM=xterm timeout -k 5 "$seconds" bochs -q -f bochsrc > screen 2>&1) || true
  : > "$output"
  [[ ! -f $folder/serial ]] || cp "$folder/serial" "$output"
  grep -aE '>>PANIC<<' "$folder/log" >> "$output.log" || true
  rm -r "$folder"
  # The guest ends by asking for a shutdown; there is no port that would take its status.
  grep -q 'shutdown requested' "$output.log" || return 124
  ! grep -aq '^FAIL: ' "$output" || return 3
  return 1
}
