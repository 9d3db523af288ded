# How each machine boots a built-in guest. Every function takes the guest's name, its command line, the file for its output and the number of processors; its
# time is that of the emulator alone. Sourced by `run`.

penumbra=.build/release/penumbra
images=Sources/Guests/Images
work=.build/peers
mkdir -p "$work"

# The image of a guest: a built-in one's, or that of privileged cases at random, which only the peers run.
image_of() {
  if [[ -f $images/$1.image ]]; then echo "$images/$1.image"; else echo ".build/guests/$1.image"; fi
}

# Penumbra itself, by kind of paging; a profile can be named after an @. A guest ends well with status 1, and a planted bug shows by status 3.
boot_penumbra() {
  local paging=${1%@*} profile=skylake
  [[ $1 == *@* ]] && profile=${1#*@}
  "$penumbra" run "$(image_of "$2")" --quiet --paging "$paging" --profile "$profile" --append "$3" --cpus "$5" < /dev/null > "$4" || [[ $? == [13] ]]
}

boot_qemu() {
  # A status of 1 is the guest's debug exit with 0, 3 with 1.
  timeout 600 qemu-system-x86_64 -kernel "$(image_of "$1")" -append "$2" -serial stdio -display none -no-reboot \
    -device isa-debug-exit,iobase=0xf4,iosize=4 -cpu max -m 128 -smp "$4" < /dev/null > "$3" 2> "$work/qemu.log" || [[ $? -lt 4 ]]
}

# Bochs loads no kernel itself: it gets a disk whose boot sector stands in for a Multiboot loader, whose command lines begin with the kernel's name.
prepare_bochs() {
  make -s -C Sources/Guests APPEND="$1 $2" "../../.build/guests/$1.disk" > /dev/null
}

boot_bochs() {
  local folder
  folder=$(mktemp -d "$work/bochs.XXXX")
  cp ".build/guests/$1.disk" "$folder/disk"
  cat > "$folder/bochsrc" << END
megs: 128
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/seabios/vgabios-stdvga.bin
cpu: count=$4, model=corei7_skylake_x, ips=50000000
clock: sync=none
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=disk, mode=flat, cylinders=10, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev=serial
display_library: term
sound: driver=dummy
log: log
panic: action=fatal
END
  # Debian's build starts in its debugger: continue, and quit when the machine has ended.
  (cd "$folder" && printf 'c\nq\n' | TERM=xterm timeout 600 bochs -q -f bochsrc > screen 2>&1) || true
  tr -d '\r' < "$folder/serial" > "$3"
  rm -r "$folder"
}

# boot MACHINE GUEST PARAMETERS OUTPUT [PROCESSORS]
boot() {
  case $1 in
    qemu) boot_qemu "$2" "$3" "$4" "${5:-1}" ;;
    bochs) boot_bochs "$2" "$3" "$4" "${5:-1}" ;;
    *) boot_penumbra "$1" "$2" "$3" "$4" "${5:-1}" ;;
  esac
}

prepare() { [[ $1 != bochs ]] || prepare_bochs "$2" "$3"; }
