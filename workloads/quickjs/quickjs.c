/* quickjs [ROUNDS]: a JavaScript interpreter runs work.js, which prints what it finds. */
#include <quickjs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script[] = {
#embed "work.js"
    , 0};

static JSValue print(JSContext *context, JSValueConst this, int count, JSValueConst *values) {
    (void)this;
    for (int i = 0; i < count; i++) {
        const char *text = JS_ToCString(context, values[i]);
        if (!text)
            return JS_EXCEPTION;
        printf(i ? " %s" : "%s", text);
        JS_FreeCString(context, text);
    }
    putchar('\n');
    fflush(stdout);
    return JS_UNDEFINED;
}

static void check(JSContext *context, JSValue value) {
    if (JS_IsException(value)) {
        JSValue exception = JS_GetException(context);
        fprintf(stderr, "quickjs: %s\n", JS_ToCString(context, exception));
        exit(1);
    }
    JS_FreeValue(context, value);
}

int main(int count, char **arguments) {
    JSRuntime *runtime = JS_NewRuntime();
    JS_SetMaxStackSize(runtime, 512 * 1024);
    JSContext *context = JS_NewContext(runtime);
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
    int rounds = count > 1 ? atoi(arguments[1]) : 20;
    JS_SetPropertyStr(context, global, "rounds", JS_NewInt32(context, rounds));
    JS_FreeValue(context, global);
    check(context, JS_Eval(context, script, strlen(script), "work.js", JS_EVAL_TYPE_GLOBAL));
    /* What the script left for later: the rest of its asynchronous functions. */
    JSContext *other;
    while (JS_ExecutePendingJob(runtime, &other) > 0)
        ;
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    return 0;
}
