# Packs each gem that Debian's packages have installed as a .gem file of its own
# into the current directory. What Debian compiled is part of the files, so that
# nothing is compiled again.
require "fileutils"
require "rubygems/package"
require "tmpdir"

# A package's files, by their names in the gem.
def names(package, spec)
  `dpkg -L #{package}`.split("\n").select { |file| File.file?(file) }.filter_map do |file|
    case file
    when %r{/gems/#{spec.full_name}/(.+)} then [file, $1]
    when %r{/vendor_ruby/(?:[\d.]+/)?(.+)} then [file, "lib/#{$1}"]
    when %r{/extensions/[^/]+/[^/]+/#{spec.full_name}/(.+\.so)} then [file, "lib/#{$1}"]
    end
  end.to_h
end

cache = Dir.pwd
Gem::Specification.reject(&:default_gem?).each do |spec|
  package = `dpkg -S #{spec.loaded_from}`[/\A[^:]+/]
  files = names(package, spec)
  Dir.mktmpdir do |dir|
    files.each do |file, name|
      FileUtils.mkdir_p(File.dirname("#{dir}/#{name}"))
      FileUtils.cp(file, "#{dir}/#{name}")
    end
    spec.executables &= files.values.filter_map { |name| name[%r{\A#{spec.bindir}/(.+)}, 1] }
    spec.files = files.values
    spec.extensions = []
    spec.test_files = []
    spec.extra_rdoc_files = []
    Dir.chdir(dir) { FileUtils.mv(Gem::Package.build(spec, true), cache) }
  end
end
