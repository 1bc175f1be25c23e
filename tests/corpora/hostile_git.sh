# How a repository makes git run something by itself. Each function makes the repository in the working directory
# hostile; the line above it says which plain git command falls for it (none: git no longer does).
# $EVIL makes the marker and hands its input on, $QUIT makes the marker and fails.

set_to() { for name in "${@:2}"; do git config "$name" "$1"; done; }
dirty() { touch README.md src/app.py; }
as_somebody() { git -c user.name=A -c user.email=a@b.example "$@"; }

# falls: git status
fsmonitor() { set_to "$EVIL" core.fsmonitor; }

# falls:
pager() { set_to "$EVIL" core.pager pager.log pager.status pager.diff pager.branch; }

# falls: git diff
external_diff() { set_to "$EVIL" diff.external; }

# falls: git diff
diff_driver() { set_to "$EVIL" diff.evil.command; echo '* diff=evil' > .gitattributes; }

# falls: git blame README.md
textconv() { set_to "$EVIL" diff.evil.textconv; echo '* diff=evil' > .git/info/attributes; }

# falls: git status
clean_filter() {
  set_to "$EVIL" filter.evil.clean
  git config filter.evil.required true
  echo '* filter=evil' > .git/info/attributes
  dirty
}

# falls: git status
filter_process() { set_to "$EVIL" filter.evil.process; echo '* filter=evil' > .gitattributes; dirty; }

# falls: git status
filter_with_an_equals_sign() { set_to "$EVIL" filter.e=vil.clean; echo '* filter=e=vil' > .git/info/attributes; dirty; }

# falls: git status
filter_by_include() {
  printf '[filter "evil"]\n\tclean = %s\n' "$EVIL" > .git/more
  git config include.path more
  echo '* filter=evil' > .git/info/attributes
  dirty
}

# falls: git status
filter_of_the_worktree() {
  git config extensions.worktreeConfig true
  git config --worktree filter.evil.clean "$EVIL"
  echo '* filter=evil' > .git/info/attributes
  dirty
}

# falls: git status
index_hook() { mkdir -p .git/hooks; cp "$EVIL" .git/hooks/post-index-change; dirty; }

# falls: git status
hooks_path() { mkdir .git/h; cp "$EVIL" .git/h/post-index-change; git config core.hooksPath .git/h; dirty; }

# falls:
aliases() { for name in status log diff show branch; do git config "alias.$name" "!$EVIL"; done; }

signed() { # KIND: the last commit again, with something that looks like a signature
  printf -- '-----BEGIN %s SIGNATURE-----\n\nabcd\n-----END %s SIGNATURE-----\n' "$1" "$1" > .git/sig
  git cat-file commit "$(git commit-tree 'HEAD^{tree}' -p HEAD -m signed)" > .git/raw
  awk 'NR == FNR { sig = sig (NR > 1 ? "\n " : "") $0; next }
    /^$/ && !done { print "gpgsig " sig; done = 1 } { print }' .git/sig .git/raw > .git/signed
  git update-ref HEAD "$(git hash-object -t commit -w .git/signed)"
  rm .git/sig .git/raw .git/signed
}

# falls: git log
signature_shown() { set_to "$EVIL" gpg.program; signed PGP; git config log.showSignature true; }

# falls: git log
signature_in_a_format() { set_to "$EVIL" gpg.program gpg.openpgp.program; signed PGP; git config format.pretty '%H %G? %GS'; }

# falls: git log
signature_by_ssh() {
  set_to "$EVIL" gpg.ssh.program
  git config gpg.ssh.allowedSignersFile README.md
  signed SSH
  git config log.showSignature true
}

partial() { # URL: a repository that lacks an object and knows where to fetch it
  git config core.repositoryFormatVersion 1
  git config extensions.partialClone origin
  git config remote.origin.promisor true
  git config remote.origin.url "$1"
  old=$(git rev-parse HEAD~1:README.md)
  rm -f ".git/objects/${old:0:2}/${old:2}"
}

# falls: git log -p
lazy_fetch_by_a_local_path() { set_to "$QUIT" remote.origin.uploadpack; partial "$PWD"; }

# falls: git log -p
lazy_fetch_by_ext() { git config protocol.ext.allow always; partial "ext::$QUIT"; }

# falls: git log -p
lazy_fetch_by_ssh() { set_to "$QUIT" core.sshCommand; partial ssh://nowhere.invalid/x; }

with_submodule() {
  git init -q sub
  echo a > sub/a
  git -C sub add a
  as_somebody -C sub commit -q -m y
  git -c protocol.file.allow=always submodule -q add ./sub sub || git add sub
  as_somebody commit -q -m sub
  git -C sub config core.fsmonitor "$EVIL"
  git -C sub config filter.evil.clean "$EVIL"
  git -C sub config diff.external "$EVIL"
  echo '* filter=evil' > sub/.git/info/attributes
  echo b >> sub/a
  as_somebody -C sub -c core.fsmonitor=false -c filter.evil.clean= commit -q -m z --allow-empty
}

# falls: git status
submodule() { with_submodule; }

# falls: git diff
submodule_shown_as_a_diff() {
  with_submodule
  git config status.submoduleSummary true
  git config diff.submodule diff
  git config submodule.recurse true
  git config submodule.sub.ignore none
}

# falls: git status
embedded_bare_repository() {
  mkdir inner
  git clone -q --bare . inner/repo
  mv inner/repo/* inner/
  rmdir inner/repo
  git -C inner config core.fsmonitor "$EVIL"
  git -C inner config core.bare false
  git -C inner config core.worktree ..
}

# falls:
settings_that_are_not_looked_at() {
  set_to "$EVIL" core.editor sequence.editor core.askPass credential.helper core.alternateRefsCommand core.gitProxy \
    interactive.diffFilter man.evil.cmd uploadpack.packObjectsHook merge.evil.driver difftool.evil.cmd
  git config column.ui always
  git config help.autocorrect immediate
  git config core.untrackedCache true
  git config core.splitIndex true
  dirty
}
