package buildpacks

import (
	"testing"
)

func TestJavaDockerfiles(t *testing.T) {
	exec := func(command string) []string { return []string{"/bin/sh", "-c", "exec java $JAVA_OPTS " + command} }
	checkGoldens(t, map[string]goldenCase{
		"java-spring": {
			files:   repo{"pom.xml": "<groupId>org.springframework.boot</groupId><java.version>17</java.version>", "mvnw": ""},
			images:  Images{ExtraCA: true},
			web:     exec("-Dserver.port=$PORT -jar /app/sky/app.jar"),
			reasons: "pom.xml; built by the repository's wrapper; start: Spring Boot",
		},
		"java-gradle-application": {
			files:   repo{"build.gradle.kts": "plugins {\n  application\n}\n"},
			web:     []string{"/bin/sh", "-c", `JAVA_OPTS="$JAVA_OPTS" exec /app/sky/bin/start`},
			reasons: "build.gradle.kts; start: the start script that installDist makes",
		},
		"java-procfile": {
			files: repo{"pom.xml": "", "Procfile": "web: java -jar target/x.jar\n"},
			web:   []string{"java", "-jar", "target/x.jar"}, reasons: "pom.xml; processes from Procfile: web",
		},
	})
}

func TestJavaVersions(t *testing.T) {
	for name, test := range map[string]struct {
		files repo
		want  Requirement
	}{
		"none":              {repo{"pom.xml": ""}, Requirement{Type: "java"}},
		"system.properties": {repo{"pom.xml": "", "system.properties": "a=b\njava.runtime.version=1.8\n"}, Requirement{"java", "8", "system.properties"}},
		"maven":             {repo{"pom.xml": "<maven.compiler.release>21</maven.compiler.release>"}, Requirement{"java", ">=21", "maven.compiler.release in pom.xml"}},
		"toolchain":         {repo{"build.gradle.kts": "kotlin { jvmToolchain(21) }"}, Requirement{"java", "21", "the toolchain in the Gradle build"}},
		"source":            {repo{"build.gradle": "sourceCompatibility = JavaVersion.VERSION_1_8"}, Requirement{"java", ">=8", "sourceCompatibility in the Gradle build"}},
		".tool-versions":    {repo{"pom.xml": "", ".tool-versions": "java temurin-21.0.2+13.0.LTS\n"}, Requirement{"java", "21", ".tool-versions"}},
		"variable":          {repo{"pom.xml": "", ".java-version": "17.0\n"}, Requirement{"java", "17", ".java-version"}},
	} {
		t.Run(name, func(t *testing.T) {
			requireNeed(t, test.files, test.want)
		})
	}
}
