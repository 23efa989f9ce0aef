package buildpacks

import (
	"regexp"
	"strings"

	"github.com/skypanel/sky/models"
)

// javaApp is a repository that Maven or Gradle builds, in Java or Kotlin.
type javaApp struct {
	// text is the build file's; what it names decides how the app is started.
	text    string
	maven   bool
	wrapper bool
	command string // in place of the build that we would choose
	// whole says that a command of the app's own starts it, so that all of its
	// files are in the image, not the runnable archive alone.
	whole bool
}

func detectJava(src source) (*Plan, error) {
	evidence := src.first("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
	if evidence == "" {
		return nil, nil
	}
	app := &javaApp{maven: evidence == "pom.xml", command: src.options.BuildCommand}
	app.whole = src.has("Procfile") || src.options.StartCommand != ""
	app.wrapper = src.first(map[bool]string{true: "mvnw", false: "gradlew"}[app.maven]) != ""
	for _, name := range []string{evidence, "app/build.gradle", "app/build.gradle.kts", "gradle/libs.versions.toml"} {
		text, _, err := src.read(name)
		if err != nil {
			return nil, err
		}
		app.text += text
	}
	need, err := app.version(src)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Language: "Java", Reasons: []string{evidence}, Need: need, Port: defaultPort, Render: app.render, Processes: models.Processes{},
	}
	if app.wrapper {
		plan.Reasons = append(plan.Reasons, "built by the repository's wrapper")
	}
	command, reason := app.start()
	plan.Processes[models.WebProcess] = argv(command)
	if !app.whole {
		plan.Reasons = append(plan.Reasons, "start: "+reason)
	}
	return plan, nil
}

var (
	javaRuntime = regexp.MustCompile(`(?m)^\s*java\.runtime\.version\s*[=:]\s*(\S+)`)
	mavenJava   = regexp.MustCompile(`<(maven\.compiler\.release|java\.version|release|maven\.compiler\.target)>\s*([\d.]+)\s*<`)
	gradleJava  = regexp.MustCompile(`(?:JavaLanguageVersion\.of\(|jvmToolchain\()\s*(\d+)`)
	gradleLeast = regexp.MustCompile(`(?:sourceCompatibility|targetCompatibility)\s*=\s*(?:JavaVersion\.VERSION_|JavaVersion\.toVersion\()?["']?(?:1[._])?(\d+)`)
	javaNumber  = regexp.MustCompile(`(?:^|-)(?:1\.)?(\d+)`)
)

// version reads what names a version of Java: a file of Heroku's, version
// managers', then the build file, whose versions any newer Java can build but for
// a toolchain of Gradle's.
func (a *javaApp) version(src source) (*Requirement, error) {
	properties, _, err := src.read("system.properties")
	if err != nil {
		return nil, err
	}
	own, err := src.line(".java-version")
	if err != nil {
		return nil, err
	}
	wishes := []wish{{"", "system.properties"}, {javaMajor(own), ".java-version"}}
	if match := javaRuntime.FindStringSubmatch(properties); match != nil {
		wishes[0].constraint = javaMajor(match[1])
	}
	switch maven, toolchain, least := mavenJava.FindStringSubmatch(a.text), gradleJava.FindStringSubmatch(a.text), gradleLeast.FindStringSubmatch(a.text); {
	case a.maven && maven != nil:
		wishes = append(wishes, wish{">=" + javaMajor(maven[2]), maven[1] + " in pom.xml"})
	case !a.maven && toolchain != nil:
		wishes = append(wishes, wish{toolchain[1], "the toolchain in the Gradle build"})
	case !a.maven && least != nil:
		wishes = append(wishes, wish{">=" + least[1], "sourceCompatibility in the Gradle build"})
	}
	need, err := src.requirement("java", wishes...)
	if err == nil && need.Constraint != "" && !strings.HasPrefix(need.Constraint, ">") {
		need.Constraint = javaMajor(need.Constraint)
	}
	return need, err
}

// javaMajor returns the release of a version as version managers write it:
// "temurin-21.0.2+13" is 21, and "1.8" is 8.
func javaMajor(text string) string {
	if match := javaNumber.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	return text
}

// start is the command for what collect found, with the port as the framework
// names it.
func (a *javaApp) start() (command, reason string) {
	const java = "java $JAVA_OPTS "
	switch {
	case strings.Contains(a.text, "quarkus"):
		return java + "-Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=$PORT -jar /app/sky/quarkus-run.jar", "Quarkus"
	case strings.Contains(a.text, "io.micronaut"):
		return java + "-Dmicronaut.server.port=$PORT -jar /app/sky/app.jar", "Micronaut"
	case strings.Contains(a.text, "org.springframework.boot"):
		return java + "-Dserver.port=$PORT -jar /app/sky/app.jar", "Spring Boot"
	case a.installs():
		return "JAVA_OPTS=\"$JAVA_OPTS\" exec /app/sky/bin/start", "the start script that installDist makes"
	default:
		return java + "-jar /app/sky/app.jar", "the jar that names a main class"
	}
}

// applicationPlugin matches Gradle's plugin that makes start scripts.
var applicationPlugin = regexp.MustCompile(`(?m)^\s*(application\s*$|id\s*\(?\s*["']application["']|apply plugin:\s*["']application["'])|io\.ktor\.plugin`)

func (a *javaApp) installs() bool { return !a.maven && applicationPlugin.MatchString(a.text) }

// build is the command that compiles and packages, without the tests.
func (a *javaApp) build() string {
	switch {
	case a.command != "":
		return a.command
	case a.maven && a.wrapper:
		return "sh ./mvnw" + mavenGoal
	case a.maven:
		return "mvn" + mavenGoal
	}
	program, task := "gradle", "build -x test"
	if a.wrapper {
		program = "sh ./gradlew"
	}
	switch {
	case gradleStage.MatchString(a.text):
		task = "stage"
	case strings.Contains(a.text, "org.springframework.boot"):
		task = "bootJar"
	case a.installs() && !strings.Contains(a.text, "quarkus"):
		task = "installDist"
	}
	return program + " --no-daemon " + task
}

// gradleStage matches the task that Heroku's buildpack runs.
var gradleStage = regexp.MustCompile(`(?m)^\s*(task\s+stage\b|tasks\.(register|create)\(\s*["']stage["'])`)

// trustProgram writes the certificates of a PEM bundle as a keystore, which is
// what Java reads.
const trustProgram = `import java.io.*;
import java.security.*;
import java.security.cert.*;

class Trust {
  public static void main(String[] files) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    int number = 0;
    try (InputStream bundle = new FileInputStream(files[0])) {
      for (java.security.cert.Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(bundle)) {
        store.setCertificateEntry("ca" + number++, one);
      }
    }
    try (OutputStream out = new FileOutputStream(files[1])) {
      store.store(out, "changeit".toCharArray());
    }
  }
}
`

// collectScript puts what runs into /out/sky: Quarkus' directory, the start
// script and libraries of installDist, or the one archive that names a main
// class. The last is looked for in every module.
const collectScript = `set -e
mkdir -p /out/sky /tmp/manifest
quarkus=$(find . -type d -name quarkus-app -path '*/quarkus-app' | head -n 1)
install=$(find . -type d -path '*/build/install/*' -name bin | head -n 1)
if [ -n "$quarkus" ]; then cp -a "$quarkus/." /out/sky/; exit; fi
if [ -n "$install" ]; then
  cp -a "$(dirname "$install")/." /out/sky/
  script=$(find /out/sky/bin -type f ! -name '*.bat' | head -n 1)
  ln -s "$(basename "$script")" /out/sky/bin/start
  exit
fi
found=
for archive in $(find . \( -path '*/target/*' -o -path '*/build/libs/*' \) \( -name '*.jar' -o -name '*.war' \) \
    ! -name '*-sources.jar' ! -name '*-javadoc.jar' ! -name '*-plain.jar' ! -name 'original-*' ! -path '*/dependency/*' | sort); do
  (cd /tmp/manifest && rm -rf META-INF && jar xf "$OLDPWD/$archive" META-INF/MANIFEST.MF 2>/dev/null)
  if grep -q '^Main-Class:' /tmp/manifest/META-INF/MANIFEST.MF 2>/dev/null; then found="$found $archive"; fi
done
set -- $found
if [ $# -ne 1 ]; then
  echo "there must be one archive with a Main-Class, but there are $#:$found"
  echo "add a Procfile with a line such as: web: java -jar target/app.jar"
  exit 1
fi
cp "$1" /out/sky/app.jar
`

func (a *javaApp) render(images Images) string {
	file := render(images)
	file.from(images.Build, "build")
	file.line("ENV MAVEN_USER_HOME=/cache/m2 GRADLE_USER_HOME=/cache/gradle")
	if images.ExtraCA {
		file.line("COPY <<'EOF' /trust/Trust.java\n%sEOF", trustProgram)
		file.runTool("java /trust/Trust.java " + caPath + " /trust/store.p12")
		file.line(`ENV JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=/trust/store.p12 -Djavax.net.ssl.trustStorePassword=changeit"`)
	}
	file.line("WORKDIR /app")
	file.line("COPY . ./")
	file.run(a.build(), cache("m2", "/cache/m2"), cache("gradle", "/cache/gradle"))
	if !a.whole {
		file.line("COPY <<'EOF' /collect.sh\n%sEOF", collectScript)
		file.line("RUN sh /collect.sh")
	}
	file.line("\nFROM %s", images.Run)
	file.line("WORKDIR /app")
	if a.whole {
		file.line("COPY --from=build /app ./")
	} else {
		file.line("COPY --from=build /out ./")
	}
	return file.last("JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=70")
}

const mavenGoal = " -B -Dmaven.repo.local=/cache/m2/repository -DskipTests package"
